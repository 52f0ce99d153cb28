"""Tries to reach somebody by a socket."""

from __future__ import annotations

TRIES = r"""
@attempt
def tcp():
    return first(lambda host: socket.create_connection((host, given["tcp"]), timeout=1), ["127.0.0.1", *given["hosts"]])


@attempt
def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        for host in given["hosts"]:
            sending.sendto(b"escaped", (host, given["udp"]))
            return "sent"
        raise OSError("no host")


@attempt
def udp_on_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        # To be sent is no escape here: nobody listens on this loopback. The test looks at the outside one.
        sending.sendto(b"escaped", ("127.0.0.1", given["udp"]))
    raise OSError("sent to the sandbox's own")


@attempt
def raw():
    return first(lambda protocol: socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol), [1, 6, 255])


@attempt
def packets():
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)


@attempt
def host_of_a_virtual_machine():
    return first(lambda kind: socket.socket(40, kind), [socket.SOCK_STREAM, socket.SOCK_DGRAM, 5])


@attempt
def rare_families():
    families = [value for value in range(1, 46) if value not in (1, 2, 10, 16)]
    kinds = [socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET]
    return first(lambda pair: socket.socket(*pair), [(family, kind) for family in families for kind in kinds])


@attempt
def unix_sockets():
    def connected(name):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(name)
        return name
    names = ["/var/run/docker.sock", "/run/dbus/system_bus_socket"]
    return first(connected, ["\0" + given["abstract"], given["unix"], *names])


@attempt
def network_configuration():
    os.system("ip link add dummy0 type dummy 2>/dev/null")
    if len(socket.if_nameindex()) > 1:
        return socket.if_nameindex()
    raise OSError("one interface")


"""

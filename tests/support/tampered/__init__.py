"""The built-in connectors with three levers for tests, worked by files in the folder $FACTOTUM_TEST_LEVERS:

`hold.<tool>`   a call of the tool waits before it does anything, for as long as the file exists;
`crash.<tool>`  the process dies by SIGKILL right after the tool's effect, before anyone is told; the file is
                taken away first, so it happens once;
`redirect.<tool>`  a call of the tool goes to the base URL that stands in the file, instead of to the system's.

Named to the tool executor by FACTOTUM_CONNECTORS; without any such file they are the connectors as they are.
"""

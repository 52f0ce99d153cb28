from factotum.memory.settling import warnings
from factotum.memory.store.port import Shape


def test_another_embedders_vectors_are_told_of() -> None:
    shape = Shape(2, "old", settled=True)
    assert warnings(shape, "old", "") == []
    assert warnings(Shape(0, "", settled=True), "new", "") == []
    (serving,) = warnings(shape, "new", "old")
    assert "it goes on serving: `factotum memory reindex` makes them anew with new" in serving
    (missing,) = warnings(shape, "new", "")
    assert "searches are by words" in missing

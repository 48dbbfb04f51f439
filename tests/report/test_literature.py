"""Keys of the bibliography: all are known, and read as names."""

import pathlib
import re

from infsup.report import literature
from infsup.report.literature import bibliography, cited, keys, names, whole, works

ROOT = pathlib.Path(__file__).parents[2]


def test_every_entry_is_whole():
    text = (ROOT / "docs" / "references.bib").read_text("utf-8")
    found = bibliography()
    assert len(found) == len(re.findall(r"^@", text, re.MULTILINE)), "a key twice, or a field torn"
    for key, entry in found.items():
        assert re.fullmatch(r"[a-z]+\d{4}[a-z]*", key), key
        assert {"author", "title", "year"} <= set(entry), key
        assert set(literature.PLACES) & set(entry), key
        assert entry["year"] in key, key
        assert "{" not in "".join(entry.values()), key


def test_every_key_of_the_source_is_known():
    unknown = {}
    for path in (ROOT / "src").rglob("*.py"):
        # quantities such as [x2017a] would be found as well; there are none
        missing = set(keys(path.read_text("utf-8"))) - set(bibliography())
        if missing:
            unknown[path.name] = missing
    assert unknown == {}


def test_names():
    assert names("yarotsky2017error") == "Yarotsky 2017"
    assert names("givens1984class") == "Givens and Shortt 1984"
    assert names("song2021scorebased") == "Song et al. 2021b"
    assert names("jordan2024muon") == "Jordan et al. 2024"
    assert names("nobody1999") == "Nobody 1999"


def test_two_works_of_one_year_are_told_apart():
    said = {names("song2021maximum"), names("song2021scorebased")}
    assert said == {"Song et al. 2021a", "Song et al. 2021b"}
    shown = [names(key) for key in bibliography()]
    assert len(shown) == len(set(shown))


def test_texts():
    text = "Lemma [nesterov2018lectures, (1.2.13)]; [0, 1]; [x]"
    assert cited(text) == "Lemma Nesterov 2018, (1.2.13); [0, 1]; [x]"
    assert keys(text) == ["nesterov2018lectures"]
    assert works([text, text]) == [("Nesterov 2018", whole("nesterov2018lectures"))]
    assert whole("nesterov2018lectures") == (
        "Yurii Nesterov. Lectures on convex optimization. Springer, 2nd edition, 2018."
    )


def test_without_a_bibliography_keys_still_read(monkeypatch):
    monkeypatch.setattr(literature, "_PLACES", ())
    bibliography.cache_clear()
    try:
        assert cited("[drori2014performance], Theorem 3.1") == "Drori 2014, Theorem 3.1"
        assert works(["[drori2014performance]"]) == []
    finally:
        bibliography.cache_clear()

"""The phones: TIMIT's 61 folded to the 48 of Lee and Hon (1989), and the classes that a decision tree asks about.

Kaldi's TIMIT recipe, which Keskar et al. (2017) name without details, trains on the 48. It asks for 2,500 leaves
and ends with somewhat under 2,000, as the paper's 1,973 are. With the 61, closures and rare variants would take
trees of their own for sounds that the recipe does not tell apart.
"""

import numpy as np
import numpy.typing as npt

SILENCE = "sil"
DELETED = "q"

_SAME = (
    "aa ae ah ao aw ax ay b ch d dh dx eh el en epi er ey f g hh ih ix iy jh k l m n ng ow oy p r s sh t th uh uw v w "
    "y z zh"
)
_FOLDED = {
    "sil": "h# pau",
    "cl": "pcl tcl kcl",
    "vcl": "bcl dcl gcl",
    "ax": "ax-h",
    "er": "axr",
    "m": "em",
    "n": "nx",
    "ng": "eng",
    "hh": "hv",
    "uw": "ux",
}

FOLDING = {phone: phone for phone in _SAME.split()} | {
    variant: phone for phone, variants in _FOLDED.items() for variant in variants.split()
}
"""TIMIT's phones, all but the glottal stop ``q``, to the 48; Kaldi deletes ``q`` from the transcription."""

PHONES = tuple(sorted(set(FOLDING.values())))
"""The 48 phones in alphabetical order; a phone's number is its place here."""

_CLASSES = {
    "silence": "sil epi",
    "closure": "cl vcl",
    "stop": "b d g p t k",
    "stop or closure": "b d g p t k cl vcl dx",
    "voiced stop": "b d g",
    "unvoiced stop": "p t k",
    "affricate": "ch jh",
    "fricative": "f v th dh s z sh zh hh",
    "voiced fricative": "v dh z zh",
    "unvoiced fricative": "f th s sh hh",
    "strident": "s z sh zh ch jh",
    "unvoiced consonant": "p t k ch f th s sh hh cl",
    "voiced obstruent": "b d g jh v dh z zh vcl dx",
    "nasal": "m n ng en",
    "liquid": "l r el er",
    "glide": "w y",
    "semivowel": "l r el w y hh",
    "sonorant consonant": "m n ng en l r el w y",
    "labial": "b p m f v w",
    "dental": "th dh",
    "alveolar": "d t n en s z dx l el",
    "palatal": "sh zh ch jh y",
    "velar": "g k ng",
    "lateral": "l el",
    "rhotic": "r er",
    "syllabic": "el en er",
    "vowel": "aa ae ah ao aw ax ay eh er ey ih ix iy ow oy uh uw",
    "front vowel": "ae eh ey ih ix iy",
    "central vowel": "ah ax er ix",
    "back vowel": "aa ao aw ow oy uh uw",
    "high vowel": "ih ix iy uh uw",
    "mid vowel": "ah ax eh er ey ow",
    "low vowel": "aa ae ao aw ay oy",
    "rounded": "ao ow oy uh uw w",
    "diphthong": "aw ay ey ow oy",
    "ending in a front glide": "ay ey oy iy y",
    "ending in a back glide": "aw ow uw w",
    "reduced vowel": "ax ix",
}


def questions() -> npt.NDArray[np.bool_]:
    """Whether each phone belongs to each class: ``(classes, 48)``; every phone by itself is a class too."""
    members = [names.split() for names in _CLASSES.values()] + [[phone] for phone in PHONES]
    return np.array([[phone in group for phone in PHONES] for group in members])

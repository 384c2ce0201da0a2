"""The open demo of MIMIC-III v1.4 on PhysioNet (ODbL 1.0), with the digests of its files.

Only files whose digest we could compute are downloaded. CHARTEVENTS, LABEVENTS and INPUTEVENTS_CV of the demo were not
at hand; fetched by hand and put next to the others, they are read with ``--source``.
"""

from __future__ import annotations

from contextssl_cli.plugin.sources import PublishedFile

PAGE = "https://physionet.org/content/mimiciii-demo/1.4/"
FILES = "https://physionet.org/files/mimiciii-demo/1.4"
DEMO = {
    "ADMISSIONS": PublishedFile("487e0b87cc81472cc2eb9ee911b3493c39e15d32e8230cec559907060c009b1c", 26_823),
    "DIAGNOSES_ICD": PublishedFile("74dc979906bc2172f0cf025271dcd44c7cd52506b297e4b36e63dd40dce923da", 48_997),
    "ICUSTAYS": PublishedFile("455cd8fd014bd75d9d26ddf8cb116c77ecccee2fe35fea342801a631d94b387b", 13_495),
    "INPUTEVENTS_MV": PublishedFile("5d66734bef2d8511009d43dd63a76948ac2490936ec86dfe64b966b37b2f1dab", 3_391_394),
    "PATIENTS": PublishedFile("f65803a46bcb88127574bfd0b70d78d4123783d05bb411e70d4c9629edd7b703", 8_605),
    "PRESCRIPTIONS": PublishedFile("053a015f55044550e4536def11df04432490c4a5ca3e1f380c30ac7e17f33fd3", 1_667_845),
    "PROCEDUREEVENTS_MV": PublishedFile("db0b77de1734fc36e91106edebd0d20c17b29a3cebda238d7a16687146d61b68", 134_284),
    "PROCEDURES_ICD": PublishedFile("0a1474dcb7e1bc083cc7b329257e5e85305f3e54ee5b0bedd325b3772806d655", 13_512),
}
URLS = {f"{FILES}/{table}.csv": published for table, published in DEMO.items()}

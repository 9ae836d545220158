"""Layouts of columns as real data sets have them: each with its right reading, or the words in which it is refused."""

from __future__ import annotations

from dataclasses import dataclass

#: What most of the layouts below write down, each in its own way, marked as `holdfast data` shows it.
TWO = ("[Ann Lee PER] saw [Rome LOC]", "[Oslo LOC] slept well")


@dataclass(frozen=True)
class Layout:
    """A file of columns.

    Args:
        content: The file.
        right: Each sentence with its entities marked; where it is refused, those of the second try.
        refused: Words of its refusal; empty where it is read.
        columns: Token and tag, counted from 1, that the second try names; None where no setting can mend it.
        noted: Words of a note that must stand beside the reading.
        name: The file's name.
    """

    content: str
    right: tuple[str, ...] = ()
    refused: str = ""
    columns: tuple[int, int] | None = None
    noted: str = ""
    name: str = "a.tsv"


def of(*rows: str, end: str = "\n") -> str:
    """Lines of cells with a blank between, with tabs between instead; an empty one ends a sentence."""
    return "".join(row.replace(" ", "\t") + end for row in rows)


_PLAIN = ("Ann B-PER", "Lee I-PER", "saw O", "Rome B-LOC", "", "Oslo B-LOC", "slept O", "well O")
_NUMBERED = ("1 Ann B-PER", "2 Lee I-PER", "3 saw O", "4 Rome B-LOC", "", "1 Oslo B-LOC", "2 slept O", "3 well O")
_GERMEVAL = (
    "1 Ann B-PER O",
    "2 Lee I-PER O",
    "3 saw O O",
    "4 Rome B-LOC O",
    "",
    "1 Oslo B-LOC O",
    "2 slept O O",
    "3 well O O",
)
_UNER = tuple(row + " - anna" if row else "" for row in _NUMBERED)
_CONLLU = (
    "# text = zum Rom am Ort Oslo",
    "1-2 zum _ _ _ _ _ _ _ _",
    "1 zu zu ADP _ _ 3 case _ NER=O",
    "2 dem der DET _ _ 3 det _ NER=O",
    "3 Rom Rom PROPN _ _ 0 root _ NER=B-LOC",
    "3.1 lag liegen VERB _ _ _ _ 0:root _",
    "4 Oslo Oslo PROPN _ _ 3 flat _ NER=B-LOC|SpaceAfter=No",
)

LAYOUTS: dict[str, Layout] = {
    # a token and its tag, and what else stands in lines
    "two columns": Layout(of(*_PLAIN), TWO),
    "two columns, blanks between": Layout("".join(f"{row}\n" for row in _PLAIN), TWO, name="a.txt"),
    "CoNLL-2003": Layout(
        "-DOCSTART- -X- -X- O\n\nAnn NNP B-NP B-PER\nLee NNP I-NP I-PER\nsaw VBD B-VP O\nRome NNP B-NP B-LOC\n\n"
        "-DOCSTART- -X- O O\n\nOslo NNP B-NP B-LOC\nslept VBD B-VP O\nwell RB B-ADVP O\n",
        TWO,
        name="a.conll",
    ),
    "CoNLL-2003, as first published": Layout(
        "Ann NNP I-NP I-PER\nLee NNP I-NP I-PER\nsaw VBD I-VP O\nRome NNP I-NP I-LOC\n\nOslo NNP I-NP I-LOC\n"
        "slept VBD I-VP O\nwell RB I-ADVP O\n",
        TWO,
        noted="begin with I-",
    ),
    "CoNLL-2002": Layout("Ann NP B-PER\nLee NP I-PER\nsaw VMI O\nRome NC B-LOC\n\nOslo NP B-LOC\nslept VMI O\nwell RG O\n", TWO),
    "CoNLL-2000": Layout(
        "Ann NNP B-NP\nLee NNP I-NP\nsaw VBD B-VP\nRome NNP B-NP\n",
        ("[Ann Lee NP] [saw VP] [Rome NP]",),
        "holds chunks",
        (1, 3),
    ),
    "names before chunks": Layout(
        "Ann NNP B-PER B-NP\nLee NNP I-PER I-NP\nsaw VBD O B-VP\nRome NNP B-LOC B-NP\n\nOslo NNP B-LOC B-NP\n"
        "slept VBD O B-VP\nwell RB O B-ADVP\n",
        TWO,
    ),
    "chunks that are all O": Layout(
        "Ann NNP O B-PER\nsaw VBD O O\nRome NNP O B-LOC\n", ("[Ann PER] saw [Rome LOC]",), "each hold tags", (1, 4)
    ),
    "Label Studio's CoNLL": Layout(
        "-DOCSTART- -X- O\nAnn -X- _ B-PER\nLee -X- _ I-PER\nsaw -X- _ O\nRome. -X- _ B-LOC\n\nOslo -X- _ B-LOC\nslept -X- _ O\n",
        ("[Ann Lee PER] saw [Rome. LOC]", "[Oslo LOC] slept"),
    ),
    "MultiCoNER": Layout(
        "# id 5239d808\tdomain=en\nann _ _ B-PER\nlee _ _ I-PER\nsaw _ _ O\nrome _ _ B-LOC\n\n# id 7f\tdomain=en\n"
        "oslo _ _ B-LOC\nslept _ _ O\n",
        ("[ann lee PER] saw [rome LOC]", "[oslo LOC] slept"),
        name="a.conll",
    ),
    "BC5CDR": Layout(
        of(
            "Naloxone 227508 0 B-Chemical",
            "reverses 227508 9 O",
            "pain 227508 18 B-Disease",
            "",
            "Two 354896 0 O",
            "patients 354896 4 O",
        ),
        ("[Naloxone Chemical] reverses [pain Disease]", "Two patients"),
    ),
    "JNLPBA": Layout(
        "###MEDLINE:95369245\n\nIL-2\tB-DNA\ngene\tI-DNA\nis\tO\n\n###MEDLINE:95333264\n\nCD28\tB-protein\nbinds\tO\n",
        ("[IL-2 gene DNA] is", "[CD28 protein] binds"),
        name="a.iob2",
    ),
    "WNUT, a tab at the end": Layout(
        "Ann\tB-person\t\nLee\tI-person\t\nsaw\tO\t\n\nOslo\tB-location\t\nis\tO\t\n",
        ("[Ann Lee person] saw", "[Oslo location] is"),
    ),
    # numbers, names and offsets first
    "GermEval": Layout(
        "#\thttp://example.org/a [2009-10-17]\n"
        + of(*_GERMEVAL[:5])
        + "#\thttp://example.org/b [2009-10-17]\n"
        + of(*_GERMEVAL[5:]),
        TWO,
    ),
    "GermEval, its comments with a blank": Layout("# http://example.org/a [2009]\n" + of(*_GERMEVAL), TWO),
    "GermEval, its comments deleted": Layout(of(*_GERMEVAL), TWO),
    "GermEval with an inner layer": Layout(
        of("1 Roma B-ORG B-LOC", "2 Nova I-ORG O", "3 met O O", "", "1 Ann B-PER O", "2 sat O O"),
        ("[Roma Nova ORG] met", "[Ann PER] sat"),
        noted="inner layer, dropped",
    ),
    "GermEval cut to three columns": Layout(of(*_NUMBERED), TWO),
    "Universal NER": Layout("# sent_id = a\n# text = Ann Lee saw Rome\n" + of(*_UNER), TWO),
    "Universal NER with words of several ids": Layout(
        of("1-2 zum _ - -", "1 zu O - -", "2 dem O - -", "3 Rom B-LOC - -", "3.1 lag _ - -", "", "1 Ann B-PER - -", "2 sat O - -"),
        ("zu dem [Rom LOC]", "[Ann PER] sat"),
        noted="no tokens of their own",
    ),
    "Universal NER cut, words of several ids": Layout(
        of("1-2 zum O", "1 zu O", "2 dem O", "3 Rom B-LOC", "", "1 Ann B-PER", "2 sat O"),
        ("zu dem [Rom LOC]", "[Ann PER] sat"),
        noted="no tokens of their own",
    ),
    "CoNLL-U, names in the last column": Layout(
        of(*_CONLLU).replace("#\ttext\t=\tzum\tRom\tam\tOrt\tOslo", "# text = zum"), ("zu dem [Rom LOC] [Oslo LOC]",)
    ),
    "CoNLL-U, a tag behind it": Layout(
        of(
            "1 Ann Ann PROPN NNP _ 2 nsubj _ _ B-PER",
            "2 saw see VERB VBD _ 0 root _ _ O",
            "3 Rome Rome PROPN NNP _ 2 obj _ _ B-LOC",
        ),
        ("[Ann PER] saw [Rome LOC]",),
        "could each be the token",
        (2, 11),
    ),
    "the index of a table": Layout(of("0 Ann B-PER", "1 Lee I-PER", "2 saw O", "3 Rome B-LOC"), TWO[:1]),
    "the index of a table, with its header": Layout(
        "\ttoken\ttag\n" + of("0 Ann B-PER", "1 Lee I-PER", "2 saw O", "3 Rome B-LOC"), TWO[:1]
    ),
    "the document first": Layout(
        "bc/cctv/00 Ann B-PER\nbc/cctv/00 Lee I-PER\nbc/cctv/00 saw O\nbc/cctv/00 Rome B-LOC\n\nbc/cnn/01 Oslo B-LOC\n"
        "bc/cnn/01 slept O\nbc/cnn/01 well O\n",
        TWO,
    ),
    "the sentence's number first": Layout(
        of("1 Ann B-PER", "1 Lee I-PER", "1 saw O", "1 Rome B-LOC", "", "2 Oslo B-LOC", "2 slept O", "2 well O"), TWO
    ),
    "the sentence's number first, and no blank lines": Layout(
        of("1 Ann B-PER", "1 Lee I-PER", "1 saw O", "1 Rome B-LOC", "2 Oslo B-LOC", "2 slept O", "2 well O"),
        TWO,
        noted="no blank line ends",
    ),
    "the token's number first, and no blank lines": Layout(of(*(row for row in _NUMBERED if row)), TWO, noted="no blank line ends"),
    "the sentence's name last": Layout(
        of("Ann B-PER s1", "Lee I-PER s1", "saw O s1", "Rome B-LOC s1", "", "Oslo B-LOC s2", "slept O s2", "well O s2"), TWO
    ),
    "offsets first": Layout(
        of(
            "0 3 Ann B-PER", "4 7 Lee I-PER", "8 11 saw O", "12 16 Rome B-LOC", "", "0 4 Oslo B-LOC", "5 10 slept O", "11 15 well O"
        ),
        TWO,
    ),
    "offsets as a pair": Layout(of("0-3 Ann B-PER", "4-7 Lee I-PER", "8-11 saw O", "12-16 Rome B-LOC"), TWO[:1]),
    "the lemma first": Layout(
        of("ann Ann B-PER", "lee Lee I-PER", "see saw O", "rome Rome B-LOC", "", "oslo Oslo B-LOC", "sleep slept O", "good well O"),
        TWO,
        "could each be the token",
        (2, 3),
    ),
    "the lemma between": Layout(
        of("Ann Ann NNP B-PER", "Lee Lee NNP I-PER", "saw see VBD O", "Rome Rome NNP B-LOC"),
        TWO[:1],
        "could each be the token",
        (1, 4),
    ),
    "the tag first": Layout(of("B-PER Ann", "I-PER Lee", "O saw", "B-LOC Rome", "", "B-LOC Oslo", "O slept", "O well"), TWO),
    "brat's anntoconll": Layout(
        of(
            "B-PER 0 3 Ann",
            "I-PER 4 7 Lee",
            "O 8 11 saw",
            "B-LOC 12 16 Rome",
            "",
            "B-LOC 17 21 Oslo",
            "O 22 27 slept",
            "O 28 32 well",
        ),
        TWO,
    ),
    "OntoNotes with a tag in place of the brackets": Layout(
        of("bc/x 0 0 Ann NNP (TOP B-PER", "bc/x 0 1 Lee NNP * I-PER", "bc/x 0 2 saw VBD (VP* O", "bc/x 0 3 Rome NNP *) B-LOC"),
        TWO[:1],
    ),
    "simpletransformers": Layout(
        "sentence_id,words,labels\n0,Ann,B-PER\n0,Lee,I-PER\n0,saw,O\n0,Rome,B-LOC\n1,Oslo,B-LOC\n1,slept,O\n1,well,O\n",
        TWO,
        name="a.csv",
    ),
    "CoNLL-U without names": Layout(
        of("1 Ann Ann PROPN NNP _ 2 nsubj _ _", "2 saw see VERB VBD _ 0 root _ SpaceAfter=No"), refused="CoNLL-U without names"
    ),
    "Weibo": Layout(
        of("\u674e0 B-PER.NAM", "\u96f71 I-PER.NAM", "\u57280 O", "\u4eac0 B-GPE.NAM"),
        ("[\u674e0 \u96f71 PER.NAM] \u57280 [\u4eac0 GPE.NAM]",),
        "ends in its place in the word",
        (1, 2),
    ),
    # several layers
    "two layers, as FiNER": Layout(
        of("Helsingin B-ORG B-LOC", "Sanomat I-ORG O", "said O O"), ("[Helsingin Sanomat ORG] said",), "each hold tags", (1, 2)
    ),
    "three layers": Layout(
        of("Bank B-ORG B-FAC O", "of I-ORG I-FAC O", "Rome I-ORG I-FAC B-LOC", "fell O O O"),
        ("Bank of [Rome LOC] fell",),
        "each hold tags",
        (1, 4),
    ),
    "HIPE": Layout(
        of("TOKEN NE-COARSE-LIT NE-COARSE-METO NE-FINE-LIT NE-NESTED NEL-LIT MISC", "# document_id = NZZ-1798-01-20")
        + of(
            "Ann B-pers O B-pers.ind O Q1 NoSpaceAfter",
            "Lee I-pers O I-pers.ind O Q1 _",
            "saw O O O O _ _",
            "Rome B-loc O B-loc.adm O Q2 EndOfLine",
        ),
        ("[Ann Lee pers] saw [Rome loc]",),
        "each hold tags",
        (1, 2),
    ),
    "two tags in one, as GENIA": Layout(of("IL-2 B-DNA|B-protein", "gene I-DNA|O", "is O"), refused="holds two tags"),
    "CoNLL-2012": Layout(
        "#begin document (bc/cctv/00); part 000\n"
        "bc/cctv/00 0 0 Ann NNP (TOP(S(NP* - - - spk (PERSON* -\nbc/cctv/00 0 1 Lee NNP *) - - - spk *) -\n"
        "bc/cctv/00 0 2 saw VBD * see - - spk * -\n"
        "bc/cctv/00 0 3 Rome NNP *)) - - - spk (GPE) -\n\n#end document\n",
        ("[Ann Lee PERSON] saw [Rome GPE]",),
        name="a.gold_conll",
    ),
    "WebAnno": Layout(
        "#FORMAT=WebAnno TSV 3.3\n#T_SP=de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity|identifier|value\n\n\n"
        "#Text=Ann Lee saw Rome\n"
        "1-1\t0-3\tAnn\t*[1]\tPER[1]\t\n1-2\t4-7\tLee\t*[1]\tPER[1]\t\n1-3\t8-11\tsaw\t_\t_\t\n1-4\t12-16\tRome\t*\tLOC\t\n",
        TWO[:1],
    ),
    # Kaggle's table
    "Kaggle's table with tabs": Layout(
        "Sentence #\tWord\tPOS\tTag\nSentence: 1\tAnn\tNNP\tB-PER\n\tLee\tNNP\tI-PER\n\tsaw\tVBD\tO\n\tRome\tNNP\tB-LOC\n"
        "Sentence: 2\tOslo\tNNP\tB-LOC\n\tslept\tVBD\tO\n\twell\tRB\tO\n",
        TWO,
    ),
    "Kaggle's table without its header": Layout(
        "Sentence: 1\tAnn\tNNP\tB-PER\n\tLee\tNNP\tI-PER\n\tsaw\tVBD\tO\n\tRome\tNNP\tB-LOC\nSentence: 2\tOslo\tNNP\tB-LOC\n"
        "\tslept\tVBD\tO\n\twell\tRB\tO\n",
        TWO,
        noted="no blank line ends",
    ),
    "Kaggle's table with blank lines": Layout(
        "Sentence: 1\tAnn\tNNP\tB-PER\n\tLee\tNNP\tI-PER\n\tsaw\tVBD\tO\n\tRome\tNNP\tB-LOC\n\n"
        "Sentence: 2\tOslo\tNNP\tB-LOC\n\tslept\tVBD\tO\n\twell\tRB\tO\n",
        TWO,
    ),
    # headers, and rows that are not as the others
    "a header": Layout(of("word tag", *_PLAIN), TWO, noted="names of columns"),
    "a header that ends in O": Layout(
        of("Token POS O", "Ann NNP B-PER", "Lee NNP I-PER", "saw VBD O", "Rome NNP B-LOC"), TWO[:1], noted="names of columns"
    ),
    "a first line that may be a header": Layout(
        of("Word O", *_PLAIN), ("Word [Ann Lee PER] saw [Rome LOC]", "[Oslo LOC] slept well"), noted="may be names of columns"
    ),
    "rows of other lengths": Layout(
        of("Ann NNP B-PER", "in IN O", "Rome NNP B-LOC extra O"), refused="5 columns where the others have 3"
    ),
    "a blank in a token": Layout("New York NNP B-LOC\nis VBZ O\nbig JJ O\n", refused="4 columns where the others have 3"),
    "a tab in a token": Layout("030\t1234\tO\nAnn\tB-PER\nsaw\tO\n", refused="3 columns where the others have 2"),
    "an empty token": Layout("EU\tNNP\tB-ORG\n\tNNP\tI-ORG\nsaid\tVBD\tO\n", refused="the token is empty"),
    "an empty token between blanks": Layout("ann _ _ B-PER\n _ _ I-PER\nsat _ _ O\n", refused="3 columns where the others have 4"),
    "an empty token of two columns": Layout("Ann\tB-PER\n\tO\nsat\tO\n", refused="the token is empty"),
    "tokens without width": Layout(
        of("Ann B-PER", "\u200b O", "\ufeff O", "\u00ad O", "\x00 O", "sat O"), ("[Ann PER] sat",), noted="no width"
    ),
    "quotation marks of a table": Layout('Ann\tB-PER\n""""\tO\nsat\tO\n', ('[Ann PER] """" sat',), noted="in quotes"),
    "AIDA, rows of one column": Layout(of("Ann B Ann /wiki/Ann", "saw", "Rome B Rome /wiki/Rome", "well"), refused="one column"),
    # a sentence a line
    "a sentence a line, tokens and tags in turn": Layout(
        "Ann B-PER spoke O in O Rome B-LOC\nOslo B-LOC slept O\n", refused="tokens and tags in turn"
    ),
    "WikiNER": Layout(
        "Ann|NNP|I-PER Lee|NNP|I-PER saw|VBD|O Rome|NNP|I-LOC\nOslo|NNP|I-LOC slept|VBD|O\n",
        ("[Ann Lee PER] saw [Rome LOC]", "[Oslo LOC] slept"),
        name="a.txt",
    ),
    "a sentence a line, its tags behind a tab": Layout("Ann saw Rome\tB-PER O B-LOC\nOslo\tB-LOC\n", refused="its tags behind it"),
    # schemes
    "IOBES": Layout(
        of("Ann B-PER", "Lee E-PER", "saw O", "Rome S-LOC", "", "Oslo S-LOC", "slept O"),
        ("[Ann Lee PER] saw [Rome LOC]", "[Oslo LOC] slept"),
        noted="IOBES",
    ),
    "BILOU": Layout(
        of("Ann B-PER", "Lee L-PER", "saw O", "Rome U-LOC", "", "Oslo U-LOC", "slept O"),
        ("[Ann Lee PER] saw [Rome LOC]", "[Oslo LOC] slept"),
        noted="BILOU",
    ),
    "BMES": Layout(
        of("Ann B-PER", "May M-PER", "Lee E-PER", "saw O", "Rome S-LOC"), ("[Ann May Lee PER] saw [Rome LOC]",), noted="BMES"
    ),
    "IO": Layout(
        of("Ann I-PER", "Lee I-PER", "saw O", "Rome I-LOC", "", "Oslo I-LOC", "slept O"),
        ("[Ann Lee PER] saw [Rome LOC]", "[Oslo LOC] slept"),
        noted="begin with I-",
    ),
    "the prefix with an underscore": Layout(of("Ann B_PER", "Lee I_PER", "saw O"), refused="the prefix first and a dash"),
    "the prefix with a colon": Layout(of("Ann B:PER", "Lee I:PER", "saw O"), refused="the prefix first and a dash"),
    "the prefix last": Layout(of("Ann PER-B", "Lee PER-I", "saw O"), refused="the prefix first and a dash"),
    "the prefix in small letters": Layout(of("Ann b-per", "Lee i-per", "saw o"), refused="capital"),
    "types alone, as Few-NERD": Layout(
        of("Ann person-actor", "Lee person-actor", "saw O", "Rome location-GPE"), refused="labels alone"
    ),
    "prefixes alone": Layout(of("Ann B", "Lee I", "saw O"), refused="has no label"),
    "numbers for tags": Layout(of("Ann 1", "Lee 2", "saw 0"), refused="names of the tags"),
    "OTHER for O": Layout(of("Ann B-PER", "saw OTHER", "Rome B-LOC", "is OTHER"), refused="'OTHER' is not a tag"),
    "a dash for O": Layout(of("Ann B-PER", "saw -", "Rome B-LOC", "is -"), refused="'-' is not a tag"),
    "O with a prefix": Layout(of("Ann B-PER", "saw B-O", "well I-O"), refused="'O' is no label"),
    "quotation marks around the cells": Layout(of('"Ann" "B-PER"', '"saw" "O"'), refused="take the quotes"),
    "commas between": Layout("Ann,B-PER\nsaw,O\nRome,B-LOC\n", refused="between commas"),
    # ends of lines
    "carriage returns alone": Layout(of(*_PLAIN, end="\r"), TWO, noted="carriage returns"),
    "carriage returns and line feeds": Layout(of(*_PLAIN, end="\r\n"), TWO),
    "ends of lines of both kinds": Layout(of(*_PLAIN[:5], end="\r\n") + of(*_PLAIN[5:], end="\r"), TWO),
    "separators of lines": Layout(of(*_PLAIN, end="\u2028"), TWO),
    "two files joined, each with its mark": Layout(
        "\ufeff" + of(*_PLAIN[:5]) + "\ufeff" + of(*_PLAIN[5:]), TWO, noted="marks of byte order"
    ),
}

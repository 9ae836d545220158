# -*- coding: utf-8 -*-
import spacy

TRAIN_DATA = [
    ('Jürgen Groß-Müller\nzog 2019 von Köln nach Zürich.\n☎ +49 221 555-0199', {'entities': [(0, 18, 'PERSON'), (32, 36, 'ORT'), (42, 48, 'ORT'), (52, 68, 'RUF_NR')]}),
    ('🧑\u200d🔧 Renée d’Élan 🇫🇷 soude chez Ænima & Fils à Besançon, 🚀 Nîmes!', {'entities': [(4, 17, 'PERSON'), (32, 44, 'FIRMA'), (47, 55, 'ORT'), (59, 64, 'ORT')]}),
    ('王小明在北京的百度公司工作。\n她住在上海。', {'entities': [(0, 3, 'PERSON'), (4, 6, 'ORT'), (7, 11, 'FIRMA'), (18, 20, 'ORT')]}),
    ('Sprachen: Python Rust C++ 日本語\nØyvind Tromsø NA null', {'entities': [(10, 16, 'FÄHIGKEIT'), (17, 21, 'FÄHIGKEIT'), (22, 25, 'FÄHIGKEIT'), (26, 29, 'FÄHIGKEIT'), (30, 36, 'PERSON'), (37, 43, 'ORT')]}),
    ('Nichts Besonderes heute, nur 5\xa0kg Äpfel …', {'entities': []}),
    ('Er schrieb: „A|B_C \\ Söhne“, sagt "O\'Neil".', {'entities': [(13, 26, 'FIRMA'), (35, 41, 'PERSON')]}),
]

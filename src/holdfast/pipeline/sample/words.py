"""The words that the sample is made of: every person, town, product and company that they form is invented."""

from __future__ import annotations


def one_each(text: str) -> tuple[str, ...]:
    """The words of a list."""
    return tuple(text.split())


def phrases(text: str) -> tuple[str, ...]:
    """The phrases of a list, parted by bars."""
    return tuple(" ".join(phrase.split()) for phrase in text.split("|"))


FIRST_NAMES = one_each(
    """Abigail Adrian Agnes Alistair Amara Amelia Andre Anika Anton Arjun Astrid Aurora Beatrice Benedict Bianca Boris
    Brenda Bruno Caleb Camila Carmen Cecilia Cedric Chidi Clara Colin Cyrus Dalia Damian Daphne Delia Derek Dimitri Dora
    Edgar Elena Elias Eloise Emeka Erica Esther Ezra Fatima Felix Fiona Flora Gavin Gemma Gideon Giulia Greta Gustavo
    Hannah Harvey Hector Hilda Hugo Imani Imogen Ingrid Irene Isaac Ivan Jasmine Jerome Joanna Jonas Judith Julian Kamal
    Katya Keiko Kenji Klaus Lars Leila Leopold Linnea Lorenzo Lucia Mabel Magnus Malik Marcus Marisol Matilda Mei Miriam
    Nadia Naveen Nora Octavia Olga Omar Oscar Pablo Petra Philip Priya Quentin Rafael Ramona Ravi Rebecca Roland Rosalind
    Rufus Sabine Samir Selma Silas Simone Sonia Stefan Sunita Tabitha Tariq Tessa Theodore Thora Ulrich Ursula Valerie
    Victor Vikram Wanda Wesley Wilfred Xavier Yara Yusuf Zelda Zoran"""
)

SURNAMES = one_each(
    """Abara Achterberg Adeyemi Alvarado Ambrose Antonov Aslan Bachmann Banerjee Barlow Beaumont Bellamy Bergstrom Bianchi
    Blackwood Bonnet Brandt Broome Calloway Cardoso Carrington Castellan Chaudhry Clemens Corbett Cortez Crane Dalgaard
    Darcy Delacroix Desai Dietrich Donovan Drummond Dubois Eklund Ellery Engel Espinoza Fairbank Farouk Fenwick Ferrara
    Finch Fontaine Fraser Galloway Garrido Gibbons Goswami Granger Greaves Grimaldi Gupta Haddad Halvorsen Hargrove Hawke
    Herrera Hollis Holmberg Ibarra Ikeda Ingram Ivanova Jankowski Jarvis Jensen Kaplan Kapoor Karlsson Keller Kendrick
    Kimura Kowalski Krishnan Lachance Lambert Larkin Laurent Lindqvist Lockhart Lovell Machado Maddox Malhotra Marchetti
    Mbeki McAllister McBride Mendoza Mercer Moreau Moretti Nakamura Navarro Nordin Novak Oakley Obi O'Brien Okafor Olsen
    Orozco Osborne Paget Palermo Pascal Pemberton Petrov Pickett Pryor Quigley Quintana Radcliffe Rahman Ramsey Redmond
    Reyes Rinaldi Rossi Sandoval Santoro Schaefer Sinclair Sokolov Solberg Stanhope Strand Sutter Takeda Thackeray
    Thorne Toivonen Trent Tucker Vance Varga Vasquez Vogel Wainwright Waverly Weber Whitaker Wilder Winslow Yamada Yilmaz
    Zamora Zielinski"""
)

#: A given name may also be one of these and one of the next, and so may a family name: nobody knows them all.
FIRST_STARTS = one_each(
    """Al An Ar Be Bre Ca Ce Chi Cor Da De Do El Em Er Fa Fe Fi Ga Ge Gi Ha He Ho Il Is Ja Je Jo Ju Ka Ke Ki La Le Li Lo Lu
    Ma Me Mi Na Ne Ni No Ol Or Pe Ra Re Ri Ro Sa Se Sha So Ta Te Ti To Va Ve Vi Wa Ya Ye Za Zo"""
)
FIRST_ENDS = one_each(
    """bel cia dan dra fina gan issa kira lan lena lina lind lia liam lio mar mara mina nando nard neth nia nora phina ras
    ric rick rin rina ron sandro sha sia ston sya than thea tin tina ton tore veena vid vin xander ya yan zia"""
)
LAST_STARTS = one_each(
    """Aber Ack Alm Ander Arm Bal Bar Beck Berg Black Bo Bran Buck Cal Carl Castel Chand Col Dahl Del Don Dra East Ed Ek El
    Fal Far Fitz Fran Gal Gar Gil Gran Gus Hal Han Har Hart Hed Hol Holm Jan Jo Kal Kar Kil Kow Lam Lar Lind Lock Lund Mac
    Mal Mar Mc Mont Nord Ny O' Ol Ost Pa Peder Pet Ques Rad Ram Rosen San Schu Sil Sod Sten Strom Sund Tan Thor Tor Ul Val
    Van Ver Vick Vil Wal Wes Wick Wil Yar Zel"""
)
LAST_ENDS = one_each(
    """acre adze ani ardo aro arski beck berg borg by combe croft dal dano den der don dova ell ello eno er erson erton escu
    etti gaard gren grin holm ida iev in ingham inski ira ism itz iyama kamp ker land lund man mann mark mayer mer more
    nell ney o ova ovic quist ran rath rez roy schild sen shaw skog son stein stone strand strom tana ter thal tova uchi
    vall vik ward well wood worth yan zaki"""
)

#: A town is one of these and one of the next.
TOWN_STARTS = one_each(
    """Alder Amber Ash Bay Birch Black Bramble Bridge Bright Brook Cald Cedar Clear Cliff Cold Copper Cran Dun East Elder
    Elm Fair Fern Fox Glen Gold Grand Green Hart Haw Hazel High Holly Iron Ivy Kings Lake Lin Long Maple Mar Mill Moss New
    North Oak Otter Pine Port Quarry Raven Red River Rock Rose Sage Salt Silver South Spring Stone Summer Thorn Timber
    Vale Wake Wal West White Wild Win Wolf Wood"""
)
TOWN_ENDS = one_each(
    """bridge brook burg bury dale field ford gate grove ham haven hurst land ley mont more mouth port ridge stead ton
    view ville water wick"""
)
STATES = one_each(
    """Alabama/AL Alaska/AK Arizona/AZ Arkansas/AR California/CA Colorado/CO Connecticut/CT Delaware/DE Florida/FL
    Georgia/GA Hawaii/HI Idaho/ID Illinois/IL Indiana/IN Iowa/IA Kansas/KS Kentucky/KY Louisiana/LA Maine/ME Maryland/MD
    Massachusetts/MA Michigan/MI Minnesota/MN Mississippi/MS Missouri/MO Montana/MT Nebraska/NE Nevada/NV Ohio/OH
    Oklahoma/OK Oregon/OR Pennsylvania/PA Tennessee/TN Texas/TX Utah/UT Vermont/VT Virginia/VA Washington/WA Wisconsin/WI
    Wyoming/WY"""
)

#: A job title is a level (or none), one of these and a role.
TITLE_AREAS = phrases(
    """Account|Advertising|Aftercare|Archive|Asset|Audit|Backend|Billing|Brand|Broadcast|Budget|Campaign|Catering|Claims
    |Clinical|Cloud|Compliance|Content|Contracts|Credit|Customer|Data|Database|Design|Digital|Distribution|Electrical
    |Energy|Enrolment|Environmental|Events|Export|Facilities|Field|Finance|Fleet|Frontend|Fundraising|Grants|Growth
    |Harbour|Hardware|Health|Hospitality|Housing|Import|Innovation|Insurance|Integration|Inventory|Investment|Irrigation
    |Laboratory|Language|Learning|Legal|Library|Loan|Logistics|Machine Learning|Maintenance|Market Research|Materials
    |Media|Mobile|Museum|Network|Nursery|Operations|Packaging|Payroll|Pension|Platform|Policy|Portfolio|Pricing|Process
    |Procurement|Product|Production|Program|Project|Property|Public Relations|Quality|Rail|Recruitment|Release
    |Reliability|Retail|Risk|Safety|Sales|Security|Service|Site|Social Media|Software|Supply Chain|Support|Survey
    |Systems|Tax|Technical|Test|Textile|Tourism|Training|Transport|Treasury|Vendor|Video|Warehouse|Water|Web
    |Workforce"""
)
TITLE_ROLES = one_each(
    """Accountant Administrator Advisor Analyst Architect Assistant Associate Clerk Consultant Controller Coordinator
    Designer Developer Director Engineer Examiner Executive Inspector Lead Manager Officer Operator Planner Producer
    Researcher Scientist Specialist Strategist Supervisor Technician Trainer Writer"""
)
LEVELS = ("Senior", "Junior", "Lead", "Principal", "Associate", "Chief", "Deputy", "Assistant", "Regional", "Trainee", "Sr.")
WHOLE_TITLES = phrases(
    """Actuary|Bookkeeper|Carpenter|Cartographer|Chef|Copywriter|Dietitian|Dispatcher|Editor|Electrician|Florist|Geologist
    |Glazier|Hairdresser|Head Gardener|Hydrologist|Illustrator|Interpreter|Joiner|Librarian|Line Cook|Machinist|Midwife
    |Optician|Paralegal|Pharmacist|Photographer|Plumber|Proofreader|Radiographer|Receptionist|Registered Nurse
    |Roofer|School Counselor|Shift Leader|Sommelier|Statistician|Stonemason|Surveyor|Tailor|Teacher|Translator
    |Upholsterer|Veterinarian|Watchmaker|Welder|Zookeeper"""
)

DEGREES = phrases(
    """Bachelor of Science|Bachelor of Arts|Bachelor of Engineering|Bachelor of Commerce|Bachelor|Master of Science
    |Master of Arts|Master of Engineering|Master|MSc|BSc|BA|MA|B.Sc.|M.Sc.|B.A.|M.A.|BEng|PhD|Ph.D.|Doctorate|Diploma
    |Associate Degree|Higher Diploma|Graduate Certificate|B.Tech|M.Tech"""
)
WHOLE_DEGREES = ("MBA", "High School Diploma", "GED", "LL.B.", "LLM", "Executive MBA", "JD", "Master of Laws", "Bachelor of Laws")
FIELDS = phrases(
    """Accounting|Acoustics|Actuarial Science|Agriculture|Anthropology|Applied Mathematics|Archaeology|Architecture
    |Art History|Astronomy|Biochemistry|Bioinformatics|Biology|Biomedical Engineering|Botany|Business Administration
    |Chemical Engineering|Chemistry|Child Development|Civil Engineering|Classics|Cognitive Science|Communication
    |Computer Engineering|Computer Science|Construction Management|Criminology|Dentistry|Earth Sciences|Ecology|Economics
    |Electrical Engineering|Electronics|English Literature|Fashion Design|Film Studies|Food Science|Forestry|French
    |Genetics|Geography|Geology|Graphic Design|History|Horticulture|Hotel Management|Human Resources|Industrial Design
    |Information Systems|Information Technology|Interior Design|International Relations|Journalism|Kinesiology
    |Landscape Architecture|Law|Library Science|Linguistics|Logistics|Marine Biology|Marketing|Materials Science
    |Mathematics|Mechanical Engineering|Media Studies|Meteorology|Microbiology|Music|Neuroscience|Nursing|Nutrition
    |Oceanography|Operations Research|Optics|Pharmacy|Philosophy|Photography|Physics|Political Science|Psychology
    |Public Administration|Public Health|Robotics|Social Work|Sociology|Software Engineering|Spanish|Sports Management
    |Statistics|Supply Chain Management|Theatre|Tourism|Urban Planning|Veterinary Science|Zoology"""
)

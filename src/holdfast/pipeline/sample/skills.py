"""The words for skills, companies and everything in the sample that only looks like an entity."""

from __future__ import annotations

from holdfast.pipeline.sample.words import one_each, phrases

#: A product is one of these and one of the next: `Fluxbase`, `Kestrel CAD`.
PRODUCT_STARTS = one_each(
    """Acu Aero Alto Anvil Apex Aqua Argo Astra Axio Bolt Brio Cadi Calyx Ceda Cipher Cobalt Copra Corvo Cubi Delta Dexo
    Docu Dyna Echo Ecto Ember Epi Ergo Exo Fero Flux Forma Fusi Giga Glyph Grano Grid Halo Heli Hexa Hydra Icono Indi Ino
    Joli Juno Kappa Kest Kine Koda Krypt Lago Laser Ledg Lexi Ligo Luma Luna Macro Mago Meta Mira Modu Moto Nano Nebu
    Nexo Nimb Nova Octo Omni Onyx Opti Orbi Oxy Paca Pano Pega Photo Pico Pluto Poly Prism Proto Pulse Quan Quill Radi
    Rapt Rigo Rota Sable Scala Sigma Sono Spectra Strata Sylph Tabu Tango Tele Terra Titan Torq Trello Tria Umbra Unio
    Vanta Vecto Velo Verdi Vexa Vigo Viro Volt Vorte Xeno Xylo Yotta Zeno Zephy Zirco"""
)
PRODUCT_ENDS = one_each(
    """base board book cast core deck desk dock fab flow form forge gen graph hub kit lab lane ledger lens link list lith
    log logic loom mark mesh mind note path pay plan point port press quest rail scan scape script sense sheet sketch
    soft span stack sync track trace vault verse view ware wave wire works"""
)
REAL_PRODUCTS = phrases(
    """Python|Java|SQL|Excel|C++|JavaScript|TypeScript|Kotlin|Rust|Scala|Perl|Ruby|MATLAB|PowerPoint|Photoshop|Linux|Docker
    |Kubernetes|Git|HTML|CSS|React|Django|Spark|Hadoop|Tableau|AutoCAD|SolidWorks|PostgreSQL|MySQL|Redis|Jenkins
    |Terraform|Ansible|Figma|InDesign|Illustrator|QuickBooks|SAP|VBA|SPSS|Stata|Fortran|COBOL|Haskell|GraphQL|Node.js
    |C#|PHP|Word|Outlook|Selenium|Kafka|Grafana|GIS|LaTeX|Bash|PyTorch|Pandas|NumPy"""
)
#: A craft is one of these and an activity: `vendor negotiation`, `crop forecasting`.
SKILL_THEMES = one_each(
    """account airline asset audio bakery barley battery boiler brand bridge budget cable campaign cargo cash catalogue
    change claims coastal colour concrete conflict content contract cost credit crop crowd customer dairy data deadline
    debt demand drainage drone emergency energy engine equipment event exhibition fabric flood forest freight fuel
    furniture garden gas glass grain grant habitat harbour hazard heat image incident infection insurance inventory
    invoice jewellery kitchen labour land lease library lighting livestock machine market material medication menu metal
    mortgage museum network noise nursery orchard order parcel patent patient payroll pension pest pipeline plant policy
    pottery price process property pump queue rail records recipe rental requirements research retail risk roof route
    safety sample schedule seed server shift signal site soil stakeholder steel stock storage stress supplier survey tax
    team tender textile timber tool trade traffic turbine vendor vessel vineyard warehouse waste water wildlife wine wood
    workshop yield"""
)
SKILL_ACTIVITIES = one_each(
    """allocation analysis appraisal assessment automation calibration classification conservation control coordination
    costing design detection development documentation engineering estimation evaluation forecasting handling inspection
    installation integration maintenance management mapping measurement mediation modelling monitoring negotiation
    optimization planning preparation pricing processing procurement profiling protection recovery reconciliation
    recruitment remediation repair reporting restoration routing sampling scheduling screening simulation sourcing
    testing tracing training translation validation valuation visualization"""
)
#: Skills of one word or a fixed phrase; several also occur as ordinary words (`planning`, `training`, `driving`).
WHOLE_SKILLS = phrases(
    """accounting|active listening|advocacy|animation|archiving|auditing|bargaining|beekeeping|blogging|bookbinding|branding
    |bricklaying|budgeting|calligraphy|carpentry|coaching|composting|conflict resolution|copywriting|creative writing
    |critical thinking|customer service|debugging|decision making|dispatching|drafting|driving|editing|embroidery
    |facilitation|first aid|food hygiene|forklift operation|fundraising|gardening|glassblowing|interpreting|interviewing
    |invoicing|knitting|leadership|lobbying|masonry|mentoring|merchandising|moderation|needlework|networking
    |object-oriented design|painting|pattern cutting|phlebotomy|photography|pipefitting|planning|plastering|problem solving
    |proofreading|public speaking|quality assurance|report writing|rigging|roofing|sewing|sign language|sketching
    |soldering|statistics|storytelling|strategic thinking|surveying|tailoring|teaching|teamwork|technical writing
    |telemarketing|tiling|time management|touch typing|training|transcription|triage|tutoring|upholstery|upselling
    |web design|welding|wiring|woodturning"""
)

COMPANY_ENDS = one_each(
    """Group Systems Partners Holdings Industries Labs Works Inc. Ltd LLC Consulting Foods Energy Logistics Bank Clinic
    Hospital Press Studios Motors Airlines Foundation Trust Hotels"""
)
#: Sentences without an entity: common words, names of things, dates, numbers and skills' words in their plain sense.
DISTRACTORS = (
    "The office was closed for planning the move in {year}.",
    "My team of {count} was spread over three floors.",
    "We cut the cost of training by {count} percent.",
    "{company} was founded in {oldyear} and sells a warranty of {small} years.",
    "{company}, in business since {oldyear}, won the contract.",
    "Order {order} was the largest in the history of the plant.",
    "I had a hand in repairing a boiler {count} years old.",
    "The project, called {project}, ran for {small} weeks.",
    "Saved ${count},000 on paper alone.",
    "Winner of the {project} Award in {year}.",
    "Driving to work takes me half an hour.",
    "I like painting the fence and teaching my children chess.",
    "Badge number {order}, clearance valid until {month} {year}.",
    "Spoke on the design of {project} at the {month} meeting.",
    "Our network of friends grew through the library.",
    "Licence {order} was renewed in {month}.",
    "Reports went to the Board every {month}.",
    "The data were kept in a steel cabinet.",
    "A {small}-year plan was written for {company}.",
    "Moved {order} boxes out of {town} Street.",
    "Available from {month} {year}.",
    "Member of the {town} Rowing Club.",
    "Member of the {project} Society, {year} to {year2}.",
    "References on request.",
    "Full driving licence.",
    "Interests: {hobby}, {hobby}.",
    "Hobbies are {hobby} and {hobby}.",
)
HOBBIES = phrases(
    """chess|running|cycling|old films|jazz|hiking in the hills|baking bread|sailing|birdwatching|crosswords|swimming|football
    |travel|reading|board games|the piano|fishing|yoga"""
)
PROJECTS = one_each(
    """Meridian Lighthouse Falcon Evergreen Compass Phoenix Horizon Keystone Monsoon Tempest Pathfinder Zenith Beacon
    Cascade Harvest Orchid Sparrow Granite Juniper Voyager"""
)
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November")
AREA_CODES = tuple(range(201, 990))

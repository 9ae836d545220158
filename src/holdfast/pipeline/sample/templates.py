"""The sentences and lines of the sample: capital slots become entities, the others only look like some.

`{NAME}` is the person, `{OTHER}` somebody else; `{TITLE}` is a title as prose writes it, which may be in lower case.
`{SKILLS}` is a list of skills, `{PAIR}` two of them joined by `and`.
"""

from __future__ import annotations

HEADERS = (
    "{NAME}\n{DESIGNATION}\n{EMAIL} | {PHONE} | {LOCATION}",
    "{NAME}\n{LOCATION}\n{PHONE}\n{EMAIL}",
    "{NAME} - {DESIGNATION}\n{LOCATION} - {EMAIL} - {PHONE}",
    "Name: {NAME}\nEmail: {EMAIL}\nPhone: {PHONE}\nCity: {LOCATION}",
    "CURRICULUM VITAE\n{NAME}\nE-mail {EMAIL}, Tel. {PHONE}",
    "RESUME OF {NAME}\n{LOCATION} | {EMAIL}",
    "{NAME}, {LOCATION}\n{EMAIL} / {PHONE}",
    "Candidate: {NAME}\nPosition: {DESIGNATION}\nLocation: {LOCATION}\nContact: {PHONE}, {EMAIL}",
    "{DESIGNATION}\n{NAME}\n{EMAIL}\n{LOCATION}",
    "{EMAIL}\n{PHONE}\n\n{NAME}\n{LOCATION}",
)
#: The same as running text, for letters.
OPENINGS = (
    "Dear {OTHER},\nmy name is {NAME} and I live in {LOCATION}.",
    "To whom it may concern,\nI am {NAME}, a {TITLE} from {LOCATION}.",
    "Hello, I'm {NAME}, {TITLE}, based in {LOCATION}.",
    "Dear team at {company},\nI write to apply as {TITLE}.",
    "{NAME} is a {TITLE} living near {LOCATION}.",
    "Dear {OTHER} of {company},\nI would like to join you as {TITLE}.",
    "{NAME} writes: I read of your opening for a {TITLE} in {LOCATION}.",
)
CLOSINGS = (
    "Kind regards,\n{NAME}\n{EMAIL}",
    "Please call {PHONE} or write to {EMAIL}.\nYours, {NAME}",
    "Best, {NAME} ({PHONE})",
    "You reach me at {EMAIL} or {PHONE}.",
    "Write to {EMAIL}; I answer within a day.\n{NAME}",
    "Sincerely\n{NAME}, {LOCATION}",
)
SUMMARIES = (
    "{TITLE} with {EXPERIENCE} of experience in {PAIR}.",
    "{TITLE}, {EXPERIENCE} in the trade, strong in {PAIR}.",
    "I have worked as a {TITLE} for {EXPERIENCE}, mostly for {company}.",
    "Over {EXPERIENCE} I moved from {TITLE} to {TITLE}.",
    "Reliable {TITLE} who knows {PAIR}; with {company} {EXPERIENCE_SINCE}.",
    "{EXPERIENCE} of work in {SKILL}, of which {EXPERIENCE} at {company}.",
    "Working {EXPERIENCE_SINCE} as a {TITLE} for {company} in {LOCATION}.",
    "Hands-on {TITLE} looking for new work in {LOCATION}.",
    "Seeking a post as {TITLE} where {SKILL} counts.",
    "With {EXPERIENCE} behind me, I now want to put {SKILL} to use in {LOCATION}.",
    "{NAME} has done {SKILL} for {EXPERIENCE}.",
)
JOBS = (
    "- {DESIGNATION}, {company}, {year}-{year2}",
    "- {DESIGNATION} at {company}, {LOCATION} ({year} to {year2})",
    "* {company} | {DESIGNATION} | {month} {year} - {month} {year2}",
    "{company}, {LOCATION}\n{DESIGNATION}, {year} - present",
    "{year}-{year2}: {DESIGNATION}, {company}",
    "{DESIGNATION} - {company}\n{EXPERIENCE}",
    "From {year} to {year2} I was a {TITLE} at {company}.",
    "At {company} I led {SKILL} and trained a {TITLE}.",
    "As {TITLE} of {company} in {LOCATION}, I built up {SKILL}.",
    "{company}: {TITLE} for {EXPERIENCE}, in charge of {count} people.",
    "There I used {SKILL} daily and reported to the {TITLE}.",
    "Promoted to {TITLE} in {year} after the {project} launch.",
    "Shared a desk with {OTHER}, then {TITLE} of {company}.",
    "* Introduced {SKILL}, which saved {count} hours a month",
    "* Handed {SKILL} over to {OTHER} in {month} {year}",
    "* Opened the new branch in {LOCATION} with {count} staff",
)
EDUCATION = (
    "{EDUCATION}, {school}, {year}",
    "- {EDUCATION} ({school}, {year})",
    "{school} - {EDUCATION}",
    "{year}: {EDUCATION}, {school}, {LOCATION}",
    "I hold a {EDUCATION} from {school}.",
    "Graduated from {school} in {year} with a {EDUCATION}.",
    "{EDUCATION} | {school} | GPA 3.{small}",
    "After my {EDUCATION} I stayed in {LOCATION} for a year.",
)
SKILLS = (
    "{SKILLS}",
    "- {SKILL}\n- {SKILL}\n- {SKILL}\n- {SKILL}",
    "Tools: {SKILLS}",
    "I am good at {PAIR}, and I am learning {SKILL}.",
    "Proficient in {SKILLS}.",
    "Good command of {SKILL}; basics of {PAIR}.",
    "{SKILL} ({EXPERIENCE}), {SKILL} ({EXPERIENCE}), {SKILL}",
    "* {SKILL} - expert\n* {SKILL} - good\n* {SKILL} - {EXPERIENCE}",
    "Certified in {SKILL} ({year}).",
)
OTHERS = (
    "Reference: {OTHER}, {DESIGNATION}, {PHONE}",
    "Reference: {OTHER} of {company}, {EMAIL_OTHER}",
    "{OTHER} can speak for my work.",
    "Willing to move to {LOCATION}.",
    "Languages and hobbies: {hobby}, {hobby}.",
)
TITLES = {
    "summary": ("Summary", "Profile", "About me", "Objective"),
    "jobs": ("Experience", "Work history", "Employment", "Career"),
    "education": ("Education", "Studies", "Education and training"),
    "skills": ("Skills", "Key skills", "Technical skills", "Strengths"),
    "others": ("Further", "Other", "Notes", "Additional information"),
}

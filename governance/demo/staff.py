"""Who works at Halden Health, a maker of clinical software: departments, teams, and the people with a part to play."""

from __future__ import annotations

from dataclasses import dataclass

COMPANY = "Halden Health"
#: Reserved by RFC 2606: no mail ever arrives there.
DOMAIN = "halden.example"


@dataclass(frozen=True, slots=True)
class Named:
    """Somebody with a name of their own. `boss` is a handle; empty for the head of the company."""

    handle: str
    given: str
    family: str
    title: str
    department: str
    boss: str
    person_type: str = "Employee"


@dataclass(frozen=True, slots=True)
class Department:
    """A department: its head, its team leads (whose names are drawn) and everybody else.

    `size` counts the head, the leads and the contractors; people who left come on top.
    """

    name: str
    head: str
    size: int
    leads: tuple[str, ...]
    titles: tuple[str, ...]
    contractors: int = 0
    leavers: int = 0
    time_zone: str = "Europe/Berlin"


CHIEF = Named("ingrid.halden", "Ingrid", "Halden", "Chief executive", "Executive", "")

NAMED = (
    CHIEF,
    Named("lucia.benitez", "Lucía", "Benítez", "VP Engineering", "Engineering", "ingrid.halden"),
    Named("ana.ruiz", "Ana", "Ruiz", "VP Data", "Data", "ingrid.halden"),
    Named("chloe.fournier", "Chloé", "Fournier", "VP Product", "Product", "ingrid.halden"),
    Named("samira.toubia", "Samira", "Toubia", "Chief medical officer", "Clinical", "ingrid.halden"),
    Named("hanna.virtanen", "Hanna", "Virtanen", "VP Customer support", "Support", "ingrid.halden"),
    Named("marcus.bell", "Marcus", "Bell", "Chief revenue officer", "Sales", "ingrid.halden"),
    Named("oskar.nowak", "Oskar", "Nowak", "Chief financial officer", "Finance", "ingrid.halden"),
    Named("nomsa.mabaso", "Nomsa", "Mabaso", "Chief people officer", "People", "ingrid.halden"),
    Named("ravi.menon", "Ravi", "Menon", "Chief information security officer", "Security", "ingrid.halden"),
    Named("nadia.petrova", "Nadia", "Petrova", "GRC lead", "Security", "ravi.menon"),
    Named("tomasz.zielinski", "Tomasz", "Zieliński", "Identity engineer", "Security", "ravi.menon"),
    Named("jonas.weber", "Jonas", "Weber", "Engineering manager, Platform", "Engineering", "lucia.benitez"),
    Named("maya.lindqvist", "Maya", "Lindqvist", "Staff engineer", "Engineering", "jonas.weber"),
    Named("aiko.tanaka", "Aiko", "Tanaka", "Site reliability engineer", "Engineering", "jonas.weber"),
    Named("devon.mcallister", "Devon", "McAllister", "Backend engineer", "Engineering", "jonas.weber"),
    Named("tomas.herrera", "Tomás", "Herrera", "Senior analyst", "Data", "ana.ruiz"),
    Named("helen.marsh", "Helen", "Marsh", "External auditor", "External audit", "nadia.petrova", "Auditor"),
)

DEPARTMENTS = (
    Department(
        "Engineering",
        "lucia.benitez",
        66,
        ("Engineering manager, Records", "Engineering manager, Messaging", "Engineering manager, Mobile"),
        (
            "Backend engineer",
            "Senior backend engineer",
            "Frontend engineer",
            "Mobile engineer",
            "Platform engineer",
            "Site reliability engineer",
            "Quality engineer",
        ),
        contractors=9,
        leavers=7,
    ),
    Department(
        "Data",
        "ana.ruiz",
        22,
        ("Data engineering lead", "Analytics lead"),
        ("Data engineer", "Analyst", "Senior analyst", "Machine learning engineer", "Biostatistician"),
        contractors=3,
        leavers=2,
    ),
    Department(
        "Product",
        "chloe.fournier",
        20,
        ("Design lead", "Group product manager"),
        ("Product manager", "Product designer", "User researcher", "Technical writer"),
        contractors=2,
        leavers=2,
        time_zone="Europe/Paris",
    ),
    Department(
        "Clinical",
        "samira.toubia",
        24,
        ("Clinical safety lead", "Clinical informatics lead"),
        ("Clinical informatician", "Nurse educator", "Clinical safety officer", "Implementation clinician"),
        contractors=2,
        leavers=2,
        time_zone="Europe/London",
    ),
    Department(
        "Support",
        "hanna.virtanen",
        32,
        ("Support lead, Clinics", "Support lead, Hospitals"),
        ("Support specialist", "Senior support specialist", "Integration specialist", "Support engineer"),
        contractors=5,
        leavers=4,
        time_zone="Europe/London",
    ),
    Department(
        "Sales",
        "marcus.bell",
        30,
        ("Sales lead, Hospitals", "Marketing lead", "Customer success lead"),
        (
            "Account executive",
            "Solutions consultant",
            "Customer success manager",
            "Marketing manager",
            "Revenue analyst",
        ),
        contractors=2,
        leavers=4,
        time_zone="America/New_York",
    ),
    Department(
        "Finance",
        "oskar.nowak",
        16,
        ("Controller",),
        ("Accountant", "Accounts payable specialist", "Financial analyst", "Procurement manager", "Legal counsel"),
        contractors=1,
        leavers=1,
    ),
    Department(
        "People",
        "nomsa.mabaso",
        12,
        ("People operations lead",),
        ("People partner", "Recruiter", "Payroll specialist", "Learning specialist"),
        leavers=1,
    ),
    Department(
        "Security",
        "ravi.menon",
        14,
        ("IT lead",),
        ("Security engineer", "IT specialist", "Security analyst", "GRC analyst"),
        contractors=2,
        leavers=1,
    ),
)

#: People who left: days ago of each, the latest first. Four of them have a story of their own.
LEFT_TODAY, LEFT_UNREMOVED, LEFT_UNANNOUNCED, LEFT_REMOVED_LATE = 0.09, 9.0, 24.0, 41.0
LEFT_DAYS_AGO = (
    *(LEFT_TODAY, 3.0, LEFT_UNREMOVED, 16.0, LEFT_UNANNOUNCED, 33.0, LEFT_REMOVED_LATE, 58.0, 70.0, 84.0, 97.0, 112.0),
    *(131.0, 150.0, 166.0, 189.0, 205.0, 226.0, 247.0, 268.0, 290.0, 315.0, 338.0, 371.0),
)
#: Somebody who left and came back: days ago.
LEFT_AND_RETURNED = (216.0, 118.0)
#: Moves to another department: days ago, from, to, new title.
MOVES = (
    (12, "Support", "Product", "Product manager"),
    (26, "Engineering", "Security", "Security engineer"),
    (49, "Data", "Engineering", "Backend engineer"),
    (77, "Support", "Clinical", "Implementation clinician"),
    (103, "Sales", "Product", "User researcher"),
    (139, "Support", "Engineering", "Quality engineer"),
    (174, "Finance", "Data", "Analyst"),
    (212, "Clinical", "Product", "Product manager"),
    (241, "Engineering", "Data", "Data engineer"),
    (279, "People", "Sales", "Customer success manager"),
    (312, "Support", "Security", "IT specialist"),
    (344, "Sales", "Support", "Senior support specialist"),
)
#: How many people joined since the company uses Gatehouse, of those who are still there.
JOINERS = 46
PROMOTIONS = 24

ON_CALL = "On-call engineering"
PHI_TRAINED = "PHI training passed"
ALL_STAFF = "All staff"
CONTRACTORS = "Contractors"
MANAGERS = "People managers"

#: What the sign-in page of the demo wants. It opens nothing but demo data.
PASSWORD = "open-the-demo-gate"


@dataclass(frozen=True, slots=True)
class SignIn:
    """Somebody you can be in the demo."""

    handle: str
    part: str
    role: str

    @property
    def email(self) -> str:
        """Return what to type."""
        return f"{self.handle}@{DOMAIN}"


SIGN_INS = (
    SignIn("maya.lindqvist", "Employee", "employee"),
    SignIn("ana.ruiz", "Owner and approver", "owner"),
    SignIn("ravi.menon", "Security administrator", "security_admin"),
    SignIn("helen.marsh", "Auditor", "auditor"),
)


@dataclass(frozen=True, slots=True)
class Guest:
    """An auditor from outside."""

    name: str
    email: str


#: Who else administers security, so that nobody is the last to decide.
OTHER_ADMINS = ("nadia.petrova", "tomasz.zielinski")

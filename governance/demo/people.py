"""The people of the demo company: who joined, moved, left and came back, with revisions, groups and roles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX, make_password

from governance.demo import staff
from governance.demo.names import all_names, handle
from governance.demo.world import World, from_directory
from governance.identity import events
from governance.identity.models import Person, PersonRevision, RoleAssignment, RoleName, Status
from governance.identity.profiles import Profile, document_from_profile, key, normalised
from governance.ledger.recording import Subject


@dataclass(frozen=True, slots=True)
class Stage:
    """What the directory said about somebody from an instant on."""

    effective_at: datetime
    recorded_at: datetime
    change: str
    title: str
    department: str
    boss: str
    status: str = Status.ACTIVE
    family: str = ""
    #: What the ledger and everything this causes call this signal.
    correlation_id: str = ""


@dataclass(slots=True, eq=False)
class Member:
    """Somebody with all their stages; `person` is the row that says the last one."""

    handle: str
    given: str
    person_type: str
    time_zone: str
    stages: list[Stage]
    is_lead: bool = False
    groups: set[str] = field(default_factory=set)
    person: Person = field(default_factory=Person)

    @property
    def now(self) -> Stage:
        """Return the last stage."""
        return self.stages[-1]

    @property
    def ref(self) -> str:
        """Return the permanent reference."""
        return str(self.person.ref)

    @property
    def subject(self) -> Subject:
        """Return how the ledger names them."""
        return Subject("person", self.ref)

    @property
    def is_active(self) -> bool:
        """Tell whether they still work here."""
        return self.now.status == Status.ACTIVE

    @property
    def settled_at(self) -> datetime:
        """Return since when they are in their present department, or were in their last."""
        return next(
            stage.effective_at
            for stage in self.stages
            if stage.department == self.now.department and stage.status == Status.ACTIVE
        )

    def stage_at(self, at: datetime) -> Stage | None:
        """Return what was so at an instant; None before they joined."""
        return next((stage for stage in reversed(self.stages) if stage.effective_at <= at), None)

    def stays(self, since: datetime, until: datetime) -> bool:
        """Tell whether they work here from an instant to another."""
        stage = self.stage_at(since)
        leaves = any(since <= one.recorded_at <= until for one in self.stages if one.status != Status.ACTIVE)
        return stage is not None and stage.status == Status.ACTIVE and not leaves

    def groups_at(self, stage: Stage) -> list[str]:
        """Return the names of the directory groups they are in during a stage, in a fixed order."""
        if stage.status != Status.ACTIVE:
            return []
        kind = {"Contractor": [staff.CONTRACTORS], "Employee": [staff.ALL_STAFF]}.get(self.person_type, [])
        return [*kind, stage.department, *sorted(self.groups)]

    def document_at(self, stage: Stage) -> dict[str, Any]:
        """Return the SCIM document of a stage, as conditions look at it."""
        document = document_from_profile(self._profile(stage, boss_id=""))
        groups = [{"display": name, "value": name} for name in self.groups_at(stage)]
        return {**document, "active": stage.status == Status.ACTIVE, "groups": groups}

    def fill(self, stage: Stage, boss: Person | None) -> None:
        """Make the row say a stage."""
        profile = self._profile(stage, boss_id=str(boss.scim_id) if boss else "")
        person = self.person
        for name in ("user_name", "external_id", "given_name", "family_name", "email", "title", "department"):
            setattr(person, name, getattr(profile, name))
        for name in ("person_type", "employee_number", "time_zone", "manager_hint"):
            setattr(person, name, getattr(profile, name))
        person.user_name_key = key(profile.user_name)
        person.display_name = profile.shown_name()
        person.manager_id = boss.pk if boss else None
        person.status = stage.status
        person.document = document_from_profile(profile)
        person.document_key = normalised(person.document)

    def shown_name(self, stage: Stage) -> str:
        """Return their name during a stage."""
        return f"{self.given} {stage.family}"

    def _profile(self, stage: Stage, *, boss_id: str) -> Profile:
        address = f"{self.handle}@{staff.DOMAIN}"
        return Profile(
            user_name=address,
            display_name=self.shown_name(stage),
            external_id=f"hh-{self.handle}",
            given_name=self.given,
            family_name=stage.family,
            email=address,
            title=stage.title,
            department=stage.department,
            person_type=self.person_type,
            employee_number=f"H{self.person.pk or 0:04d}",
            time_zone=self.time_zone,
            manager_hint=boss_id,
            is_active=stage.status == Status.ACTIVE,
        )


@dataclass(slots=True)
class Company:
    """Everybody, by handle."""

    members: dict[str, Member] = field(default_factory=dict)
    _ever_in: dict[str, list[Member]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Member:
        return self.members[name]

    def __iter__(self) -> Iterator[Member]:
        return iter(self.members.values())

    def active(self, *departments: str) -> list[Member]:
        """Return who works here now, in these departments or anywhere."""
        return [one for one in self if one.is_active and (not departments or one.now.department in departments)]

    def ever_in(self, department: str) -> list[Member]:
        """Return who was ever in a department; remembered, so ask when everybody's stages are known."""
        if department not in self._ever_in:
            ever = [one for one in self if any(stage.department == department for stage in one.stages)]
            self._ever_in[department] = ever
        return self._ever_in[department]

    def boss(self, stage: Stage) -> Member | None:
        """Return the manager of a stage."""
        return self.members.get(stage.boss)


def hire(world: World) -> Company:
    """Return everybody who works or worked here, with their rows, revisions and ledger entries."""
    company = Company()
    names = [pair for pair in all_names() if handle(*pair) not in {one.handle for one in staff.NAMED}]
    world.chance.shuffle(names)
    for named in staff.NAMED:
        stage = Stage(
            world.rollout_at, world.rollout_at, "joined", named.title, named.department, named.boss, family=named.family
        )
        member = Member(named.handle, named.given, named.person_type, "Europe/Berlin", [stage], is_lead=True)
        company.members[named.handle] = member
    for department in staff.DEPARTMENTS:
        _staff(world, company, department, names)
    _move(world, company)
    _promote(world, company)
    _part(world, company)
    _assign_groups(world, company)
    _write(world, company)
    return company


def _staff(world: World, company: Company, department: staff.Department, names: list[tuple[str, str]]) -> None:
    """Fill a department: leads first, so that everybody else has one."""
    leads = [one for one in staff.NAMED if one.boss == department.head and "manager" in one.title.lower()]
    bosses = [lead.handle for lead in leads]
    for title in department.leads:
        lead = _newcomer(world, company, department, names.pop(), title, department.head, world.rollout_at)
        lead.is_lead = True
        bosses.append(lead.handle)
    named = sum(one.department == department.name for one in staff.NAMED)
    others = department.size - named - len(department.leads)
    for number in range(others + department.leavers):
        title = department.titles[number % len(department.titles)]
        boss = bosses[number % len(bosses)]
        member = _newcomer(world, company, department, names.pop(), title, boss, world.rollout_at)
        if number < department.contractors:
            member.person_type = "Contractor"


def _newcomer(
    world: World,
    company: Company,
    department: staff.Department,
    name: tuple[str, str],
    title: str,
    boss: str,
    at: datetime,
) -> Member:
    given, family = name
    stage = Stage(at, at, "joined", title, department.name, boss, family=family)
    member = Member(handle(given, family), given, "Employee", department.time_zone, [stage])
    company.members[member.handle] = member
    return member


def _ordinary(company: Company, *departments: str) -> list[Member]:
    """Return those to whom anything may happen: no leads, one stage so far."""
    return [one for one in company.active(*departments) if not one.is_lead and len(one.stages) == 1]


def _move(world: World, company: Company) -> None:
    for days_ago, origin, target, title in staff.MOVES:
        mover = world.chance.choice([one for one in _ordinary(company, origin) if one.person_type == "Employee"])
        boss = world.chance.choice([one for one in company.active(target) if not one.is_lead]).now.boss
        at = world.workday(days_ago, last_hour=9)
        _change(world, mover, at, change="updated", title=title, department=target, boss=boss)


def _promote(world: World, company: Company) -> None:
    for number in range(staff.PROMOTIONS):
        person = world.chance.choice([one for one in _ordinary(company) if not one.now.title.startswith("Senior")])
        title = f"Senior {person.now.title[:1].lower()}{person.now.title[1:]}"
        _change(world, person, world.workday(20 + 15 * number, last_hour=9), change="updated", title=title)
    married = world.chance.choice(_ordinary(company, "Clinical"))
    _change(world, married, world.workday(68), change="updated", family=f"{married.now.family}-Holloway")


def _part(world: World, company: Company) -> None:
    """Let people leave, one come back, and others join after the rest."""
    quotas = [department.name for department in staff.DEPARTMENTS for _ in range(department.leavers)]
    world.chance.shuffle(quotas)
    for days_ago, department in zip(staff.LEFT_DAYS_AGO, quotas, strict=True):
        leaver = world.chance.choice(_ordinary(company, department))
        at = world.at - timedelta(days=days_ago) if days_ago < 1 else world.workday(days_ago, first_hour=15)
        _join_later(world, leaver, at, chance=0.3)
        late_notice = timedelta(days=2) if days_ago == staff.LEFT_UNANNOUNCED else timedelta(0)
        _change(world, leaver, at, change="left", status=Status.LEFT, notice=late_notice)
    returner = world.chance.choice(_ordinary(company, "Engineering"))
    left_days_ago, returned_days_ago = staff.LEFT_AND_RETURNED
    _change(world, returner, world.workday(left_days_ago, first_hour=15), change="left", status=Status.LEFT)
    returned_at = world.workday(returned_days_ago, last_hour=9)
    _change(world, returner, returned_at, change="rejoined", status=Status.ACTIVE)
    joiners = world.chance.sample(_ordinary(company), staff.JOINERS)
    for number, joiner in enumerate(joiners):
        at = world.workday(4 + number * 8, last_hour=9)
        joiner.stages = [replace(joiner.now, effective_at=at, recorded_at=at)]


def _join_later(world: World, member: Member, before: datetime, *, chance: float) -> None:
    since = (before - world.rollout_at).days
    if since > 120 and world.chance.random() < chance:
        at = world.workday((world.at - before).days + world.chance.randrange(60, since - 30), last_hour=9)
        member.stages = [replace(member.now, effective_at=at, recorded_at=at)]


def _change(world: World, member: Member, at: datetime, *, notice: timedelta = timedelta(0), **said: Any) -> None:
    """Add a stage. `notice` is how much later it was written down than it took effect."""
    effective_at = at - notice
    member.stages.append(replace(member.now, effective_at=effective_at, recorded_at=at, **said))


def _assign_groups(world: World, company: Company) -> None:
    on_call = [one for one in company.active("Engineering") if "engineer" in one.now.title.lower()]
    for member in world.chance.sample(on_call, 14):
        member.groups.add(staff.ON_CALL)
    company["aiko.tanaka"].groups.add(staff.ON_CALL)
    for member in company:
        departments = {member.stages[0].department, member.now.department}
        if departments & {"Clinical", "Support", "Data"} and world.chance.random() < 0.9:
            member.groups.add(staff.PHI_TRAINED)
        if any(member.handle == other.now.boss for other in company):
            member.groups.add(staff.MANAGERS)


def _write(world: World, company: Company) -> None:
    """Make the rows, in the order in which people joined."""
    hashed = make_password(staff.PASSWORD)
    can_sign_in = {one.handle for one in staff.SIGN_INS}
    for member in sorted(company, key=lambda one: one.stages[0].effective_at):
        member.stages = [replace(stage, correlation_id=world.correlation()) for stage in member.stages]
        first, last = member.stages[0], member.now
        left = last.status == Status.LEFT
        member.person = world.add(
            Person(
                ref=world.ref(),
                scim_id=world.ref(),
                source="demo",
                joined_at=first.effective_at,
                created_at=first.recorded_at,
                modified_at=last.recorded_at,
                left_at=last.effective_at if left else None,
                sessions_end_at=last.recorded_at if left else None,
                version=len(member.stages),
                password=hashed if member.handle in can_sign_in else UNUSABLE_PASSWORD_PREFIX + world.word(40),
            )
        )
    for member in company:
        boss = company.boss(member.now)
        member.fill(member.now, boss.person if boss else None)
    numbered = [(stage, number, member) for member in company for number, stage in enumerate(member.stages, 1)]
    for stage, number, member in sorted(numbered, key=lambda row: (row[0].recorded_at, row[2].person.pk)):
        _revise(world, company, member, stage, number)
    _assign_roles(world, company)


def _revise(world: World, company: Company, member: Member, stage: Stage, number: int) -> None:
    boss = company.boss(stage)
    actor = from_directory(stage.correlation_id)
    world.add(
        PersonRevision(
            person_id=member.person.pk,
            number=number,
            effective_at=stage.effective_at,
            recorded_at=stage.recorded_at,
            status=stage.status,
            user_name=member.person.user_name,
            display_name=member.shown_name(stage),
            email=member.person.email,
            title=stage.title,
            department=stage.department,
            person_type=member.person_type,
            manager_id=boss.person.pk if boss else None,
            change=stage.change,
            actor_ref=actor.ref,
            correlation_id=stage.correlation_id,
        )
    )
    if stage.change == "left":
        return  # Recorded with the number of grants it ended, by `granting`.
    event = {"joined": events.PERSON_JOINED, "rejoined": events.PERSON_REJOINED}.get(
        stage.change, events.PERSON_UPDATED
    )
    data: dict[str, object] = {"version": number} if event == events.PERSON_UPDATED else {"source": "demo"}
    world.record(event, member.subject, actor=actor, at=stage.recorded_at, data=data)


def _assign_roles(world: World, company: Company) -> None:
    """Give the roles in Gatehouse, but for those of application owners, which follow from what they own."""
    admin, auditor = RoleName.SECURITY_ADMIN, RoleName.AUDITOR
    assigned = [(one.handle, one.role) for one in staff.SIGN_INS if one.role in (admin, auditor)]
    assigned += [(name, str(admin)) for name in staff.OTHER_ADMINS]
    for name, role in assigned:
        assign_role(world, company[name], role)


def assign_role(world: World, member: Member, role: str) -> None:
    """Give somebody a role in Gatehouse since the rollout."""
    actor, at = world.system("rollout"), world.rollout_at + timedelta(minutes=5)
    world.add(RoleAssignment(person_id=member.person.pk, role=role, assigned_at=at, assigned_by_ref=actor.ref))
    world.record(events.ROLE_ASSIGNED, member.subject, actor=actor, at=at, data={"role": role})

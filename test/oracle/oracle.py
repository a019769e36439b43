"""The moments of a rule by definition: docs/moments.md read aloud, with no algorithm. For small streams only.

moments(rule, events, now, world) -> [Moment], where rule is the rule's JSON document as Python data, events are dicts with
the columns of revops.event (event_id: text, occurred_at and dwell: seconds, properties: a dict or None), now is what
revops.now() says in seconds, and world has what else is known: {"persons": {key: {...}}, "accounts": {...},
"opportunities": {...}, "time_zone": "UTC"}, rows as in the tables.
"""
import collections
import datetime
import fractions
import math
import re
import zoneinfo

# strengths: where chains of the same events differ in who took them, what each of them would give
Moment = collections.namedtuple('Moment', 'subject_kind subject occurred_at evidence strength by_timer strengths')

MOST_CHAINS = 20000
MOST_EVIDENCE = 64
# how bodies feel by the word lists, which are no rule of docs/moments.md: whoever has them fills this in
FEELINGS = {}
TEXT_FIELDS = ('kind', 'channel', 'side', 'object', 'person', 'account', 'opportunity', 'rep', 'body')
DAYS = ('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun')
UNITS = {'s': 1, 'second': 1, 'seconds': 1, 'm': 60, 'minute': 60, 'minutes': 60, 'h': 3600, 'hour': 3600, 'hours': 3600,
         'day': 86400, 'days': 86400}


class TooMany(Exception):
    """The stream is too large to look at every chain of it."""


def duration(text):
    """Seconds."""
    total = 0
    for number, unit in re.findall(r'([0-9.]+)\s*([a-z]+)', text):
        total += fractions.Fraction(number) * UNITS[unit]
    return int(total) if total == int(total) else float(total)


def order(event):
    return (event['occurred_at'], 0, event['event_id'])


def end_of(instant):
    """After all events up to and including the instant."""
    return (instant, 1, '')


class World:
    """What is known besides the events, and what an event's fields are."""

    def __init__(self, known):
        self.persons = known.get('persons', {})
        self.accounts = known.get('accounts', {})
        self.opportunities = known.get('opportunities', {})
        self.time_zone = known.get('time_zone', 'UTC')

    def person(self, event):
        row = self.persons.get(event.get('person')) or {}
        return row.get('identity') or event.get('person')

    def of_person(self, event, column):
        """A column of the event's person, else of the visitor that the person was."""
        known = self.persons.get(self.person(event)) or {}
        visitor = self.persons.get(event.get('person')) or {}
        return known.get(column) or visitor.get(column)

    def account(self, event):
        return event.get('account') or self.of_person(event, 'account')

    def subject(self, event, kind):
        if kind == 'person':
            return self.person(event)
        if kind == 'account':
            return self.account(event)
        return event.get(kind)

    def field(self, event, name):
        """The value of a field, None where it is missing."""
        if name == 'intent':
            return (event.get('properties') or {}).get('intents')
        if name == 'sentiment':
            said = (event.get('properties') or {}).get('sentiment')
            return FEELINGS.get(event.get('body')) if said is None else said
        if name.startswith('properties.'):
            return path(event.get('properties'), name[len('properties.'):])
        head, _, rest = name.partition('.')
        if rest:
            key = self.subject(event, head)
            if key is None:
                return None
            if name == 'account.open_opportunity':
                return any(o.get('account') == key and o.get('status', 'open') == 'open' for o in self.opportunities.values())
            row = {'person': self.persons, 'account': self.accounts, 'opportunity': self.opportunities}[head].get(key) or {}
            if rest.startswith('properties.'):
                return path(row.get('properties'), rest[len('properties.'):])
            return row.get(rest)
        if name in ('person', 'account'):
            return self.subject(event, name)
        return event.get(name)

    def value(self, event, name):
        """The value of a field for comparing events with each other; a list is none."""
        value = self.field(event, name)
        return value if isinstance(value, (str, int, float)) else None

    def local(self, event, zone=None):
        """The event's local date and time of day."""
        account = self.accounts.get(self.account(event)) or {}
        zone = zone or self.of_person(event, 'time_zone') or account.get('time_zone') or self.time_zone
        return datetime.datetime.fromtimestamp(event['occurred_at'], zoneinfo.ZoneInfo(zone))


def path(properties, name):
    value = properties
    for key in name.split('.'):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def equal(a, b):
    """Two values of the same type that are the same; what is missing equals nothing."""
    if a is None or b is None:
        return False
    if is_number(a) and is_number(b):
        return a == b
    return type(a) is type(b) and a == b


def like(text, pattern):
    return re.fullmatch(''.join('.*' if c == '%' else '.' if c == '_' else re.escape(c) for c in pattern), text, re.DOTALL) is not None


def passes(value, comparison, operand):
    """One comparison of one value that is there."""
    if comparison == 'eq':
        return equal(value, operand)
    if comparison == 'in':
        return any(equal(value, o) for o in operand)
    if comparison == 'like':
        return isinstance(value, str) and like(value, operand)
    if comparison == 'prefix':
        return isinstance(value, str) and value.startswith(operand)
    if not is_number(value):
        return False
    return {'gt': value > operand, 'gte': value >= operand, 'lt': value < operand, 'lte': value <= operand}[comparison]


def holds(value, test, is_duration=False):
    """Whether a field's value passes a test: a value, a list, or an object of comparisons."""
    if isinstance(test, list):
        test = {'in': test}
    elif not isinstance(test, dict):
        test = {'eq': test}
    if is_duration:
        test = {k: o if k == 'exists' else [duration(x) for x in o] if isinstance(o, list) else duration(o) for k, o in test.items()}
    values = value if isinstance(value, list) else [] if value is None else [value]
    others = {k: o for k, o in test.items() if k not in ('exists', 'ne')}
    if 'exists' in test and test['exists'] != (value is not None):
        return False
    if 'ne' in test and any(equal(v, test['ne']) for v in values):
        return False
    return not others or any(all(passes(v, k, o) for k, o in others.items()) for v in values)


def in_local_time(world, event, spec):
    local = world.local(event, spec.get('time_zone'))
    if 'days' in spec and DAYS[local.weekday()] not in [d.lower()[:3] for d in spec['days']]:
        return False
    if 'from' not in spec:
        return True
    clock = local.hour * 3600 + local.minute * 60 + local.second
    start, end = (int(x[:2]) * 3600 + int(x[3:5]) * 60 for x in (spec['from'], spec['to']))
    if start < end:
        return start <= clock < end
    return clock >= start or clock < end


def meets(world, event, condition):
    """Whether an event meets a condition: all its keys hold."""
    for key, test in condition.items():
        if key == 'all':
            ok = all(meets(world, event, c) for c in test)
        elif key == 'any':
            ok = any(meets(world, event, c) for c in test)
        elif key == 'not':
            ok = not meets(world, event, test)
        elif key == 'local_time':
            ok = in_local_time(world, event, test)
        else:
            ok = holds(world.field(event, key), test, key == 'dwell')
        if not ok:
            return False
    return True


def amount(world, event, of):
    """What an event adds to a sum: nothing unless it is a number above 0."""
    value = world.field(event, of)
    return value if is_number(value) and value > 0 else None


def threshold(spec):
    return duration(spec['at_least']) if spec['of'] == 'dwell' else spec['at_least']


def total(world, events, spec):
    """What events add up to; none counts for more than is asked for."""
    return sum(min(amount(world, e, spec['of']) or 0, threshold(spec)) for e in events)


def first_to_reach(world, events, spec):
    """As many of the events, from the front, as it takes to reach the sum."""
    n = 0
    while total(world, events[:n], spec) < threshold(spec):
        n += 1
    return events[:n]


def in_order(events):
    return sorted({order(e): e for e in events}.values(), key=order)


def different(values):
    result = []
    for v in values:
        if not any(equal(v, seen) for seen in result):
            result.append(v)
    return result


# Strength

class Formula:
    """The value of a strength formula; names is asked for the value of a name, None where it is missing."""

    def __init__(self, text, names):
        self.tokens = re.findall(r'[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|[A-Za-z_][\w.]*|[-+*/(),]', text)
        self.names = names

    def take(self, *expected):
        if self.tokens and (not expected or self.tokens[0] in expected):
            return self.tokens.pop(0)
        return None

    def total(self):
        value = self.product()
        while True:
            sign = self.take('+', '-')
            if sign is None:
                return value
            other = self.product()
            value = value + other if sign == '+' else value - other

    def product(self):
        value = self.factor()
        while True:
            sign = self.take('*', '/')
            if sign is None:
                return value
            other = self.factor()
            value = value * other if sign == '*' else self.divide(value, other)

    def factor(self):
        if self.take('-'):
            return -self.factor()
        if self.take('('):
            value = self.total()
            assert self.take(')')
            return value
        token = self.take()
        if token[0].isdigit():
            return float(token)
        if not self.take('('):
            value = self.names(token)
            return float(value) if is_number(value) else 0.0
        arguments = [self.total()]
        while self.take(','):
            arguments.append(self.total())
        assert self.take(')')
        if token in ('min', 'max'):
            return math.nan if any(map(math.isnan, arguments)) else {'min': min, 'max': max}[token](arguments)
        return {'sqrt': self.sqrt, 'ln': self.ln, 'exp': self.exp}[token](*arguments)

    @staticmethod
    def divide(a, b):
        if b != 0:
            return a / b
        return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)

    @staticmethod
    def sqrt(x):
        return math.sqrt(x) if x >= 0 else math.nan

    @staticmethod
    def ln(x):
        return math.log(x) if x > 0 else -math.inf if x == 0 else math.nan

    @staticmethod
    def exp(x):
        try:
            return math.exp(x)
        except OverflowError:
            return math.inf


def strength(rule, names):
    spec = rule.get('strength', 1)
    value = Formula(spec, names).total() if isinstance(spec, str) else spec
    return min(1.0, max(0.0, float(value))) if math.isfinite(value) else 0.0


def names_of(world, evidence, more):
    """The names of a formula that every moment has, and more."""
    last = evidence[-1]

    def look_up(name):
        if name in more:
            return more[name]
        if name == 'count':
            return len(evidence)
        if name == 'span':
            return last['occurred_at'] - evidence[0]['occurred_at']
        if name == 'dwell' or name.startswith('properties.'):
            return world.field(last, name)
        return None
    return look_up


# Patterns: at() says whether an episode goes on at a relevant event, whether that event added, and what would be the moment.

Found = collections.namedtuple('Found', 'evidence strengths')


class Each:
    """Each relevant event completes a moment."""

    def __init__(self, rule, world, relevant):
        self.rule, self.world, self.relevant = rule, world, relevant

    def at(self, n, spent):
        event = self.relevant[n]
        return True, True, Found([event], [strength(self.rule, names_of(self.world, [event], {}))])


class Windows:
    """count, sum and distinct."""

    def __init__(self, rule, world, relevant):
        self.rule, self.world, self.relevant = rule, world, relevant
        self.measures = [k for k in ('count', 'sum', 'distinct') if k in rule]

    def adds(self, event, measure):
        if measure == 'count':
            return True
        if measure == 'sum':
            return amount(self.world, event, self.rule['sum']['of']) is not None
        return self.world.value(event, self.rule['distinct']['of']) is not None

    def window(self, n, spent, measure):
        """The events that add to a measure's window at the n-th relevant event."""
        spec = self.rule[measure]
        now = self.relevant[n]['occurred_at']
        within = duration(spec['within']) if 'within' in spec else max(86400, duration(spec['session']))
        first = 0
        if 'session' in spec:
            for i in range(1, n + 1):
                if self.relevant[i]['occurred_at'] - self.relevant[i - 1]['occurred_at'] >= duration(spec['session']):
                    first = i
        return [e for e in self.relevant[first:n + 1]
                if e['occurred_at'] > now - within and order(e) > spent and self.adds(e, measure)]

    def holds(self, window, measure):
        spec = self.rule[measure]
        if measure == 'sum':
            return total(self.world, window, spec) >= threshold(spec)
        return (len(window) if measure == 'count' else len(different(self.values(window)))) >= spec['at_least']

    def values(self, events):
        values = [self.world.value(e, self.rule['distinct']['of']) for e in events]
        return [v for v in values if v is not None]

    def deciding(self, window, measure):
        """The events of a window that decide."""
        spec = self.rule[measure]
        newest = window[::-1]
        if measure == 'count':
            return newest[:spec['at_least']]
        if measure == 'sum':
            return first_to_reach(self.world, newest, spec)
        values = different(self.values(newest))[:spec['at_least']]
        return [next(e for e in newest if equal(self.world.value(e, spec['of']), v)) for v in values]

    def at(self, n, spent):
        windows = {m: self.window(n, spent, m) for m in self.measures}
        added = any(self.adds(self.relevant[n], m) for m in self.measures)
        if not all(self.holds(windows[m], m) for m in self.measures):
            return False, added, None
        deciding = {m: self.deciding(windows[m], m) for m in self.measures}
        evidence = in_order([e for m in self.measures for e in deciding[m]] + [self.relevant[n]])
        more = {}
        if 'sum' in self.rule:
            more['sum'] = total(self.world, deciding['sum'], self.rule['sum'])
        if 'distinct' in self.rule:
            more['distinct'] = len(deciding['distinct'])
        return True, added, Found(evidence, [strength(self.rule, names_of(self.world, evidence, more))])


class Streak:
    """Days in a row."""

    def __init__(self, rule, world, relevant):
        self.rule, self.world, self.relevant = rule, world, relevant
        self.spec = rule['streak']
        self.each = self.spec.get('each', {'count': 1})

    def day(self, event):
        return self.world.local(event, self.spec.get('time_zone')).date()

    def before(self, day):
        day -= datetime.timedelta(days=1)
        while self.spec.get('weekdays') and day.weekday() >= 5:
            day -= datetime.timedelta(days=1)
        return day

    def adds(self, event):
        if 'sum' in self.each:
            return amount(self.world, event, self.each['sum']['of']) is not None
        if 'max' in self.each:
            value = amount(self.world, event, self.each['max']['of'])
            return value is not None and value >= threshold(self.each['max'])
        return True

    def enough(self, events):
        """Whether a day with these events has what each day needs."""
        if 'sum' in self.each:
            return total(self.world, events, self.each['sum']) >= threshold(self.each['sum'])
        return len(events) >= self.number()

    def number(self):
        return 1 if 'max' in self.each else self.each.get('count', 1)

    def deciding(self, events):
        """The first events of a day that gave it what it needs."""
        if 'sum' in self.each:
            return first_to_reach(self.world, events, self.each['sum'])
        return events[:self.number()]

    def days_to(self, day, usable):
        """The events of the days that end with a day, day by day; None if one of them has not enough."""
        days = []
        for _ in range(self.spec['days']):
            events = [e for e in usable if self.day(e) == day]
            if not self.enough(events):
                return None
            days.append(events)
            day = self.before(day)
        return days

    def at(self, n, spent):
        usable = [e for e in self.relevant[:n + 1] if order(e) > spent and self.adds(e)]
        added = self.adds(self.relevant[n])
        day = self.day(self.relevant[n])
        days = self.days_to(day, usable)
        if days is None:
            # the episode goes on while the days up to yesterday hold
            return self.days_to(self.before(day), usable) is not None, added, None
        evidence = in_order([e for events in days for e in self.deciding(events)] + [self.relevant[n]])
        more = {'days': self.spec['days']}
        if 'sum' in self.each:
            more['sum'] = total(self.world, evidence, self.each['sum'])
        return True, added, Found(evidence, [strength(self.rule, names_of(self.world, evidence, more))])


class Sequence:
    """Steps in order. A chain is a list of (number of the relevant event, step)."""

    def __init__(self, rule, world, relevant):
        self.rule, self.world, self.relevant = rule, world, relevant
        self.spec = rule['sequence']
        self.steps = []         # the steps themselves
        self.absences = []      # (the entry, number of the step it comes after)
        self.silence = None     # the absence at the end
        for entry in self.spec['steps']:
            if 'absent' not in entry:
                self.steps.append(entry)
            elif 'for' in entry:
                self.silence = entry
            else:
                self.absences.append((entry, len(self.steps) - 1))
        self.chains = []
        for n in range(len(relevant)):
            if meets(world, relevant[n], self.steps[0]['when']):
                self.grow([(n, 0)])

    def times(self, step):
        spec = self.steps[step].get('times', 1)
        if isinstance(spec, dict):
            return spec.get('at_least', 1), spec.get('at_most', 64)
        return spec, spec

    def taken(self, chain, step):
        return [self.relevant[n] for n, s in chain if s == step]

    def grow(self, chain):
        """Notes the chain if it has all steps, and else everything that it may grow to."""
        last = len(self.steps) - 1
        if chain[-1][1] == last and len(self.taken(chain, last)) == self.times(last)[1]:
            self.chains.append(chain)
            if len(self.chains) > MOST_CHAINS:
                raise TooMany
            return
        for step in self.next_steps(chain):
            for n in self.next_events(chain, step):
                self.grow(chain + [(n, step)])

    def next_steps(self, chain):
        step = chain[-1][1]
        least, most = self.times(step)
        taken = len(self.taken(chain, step))
        if taken < most:
            yield step
        if taken >= least:
            for later in range(step + 1, len(self.steps)):
                yield later
                if not self.steps[later].get('optional'):
                    return

    def next_events(self, chain, step):
        """The events that a step may take next."""
        after = list(range(chain[-1][0] + 1, len(self.relevant)))
        contiguity = self.steps[step].get('contiguity', 'relaxed')
        if contiguity == 'strict':
            after = after[:1]
        fitting = [n for n in after if self.fits(chain, step, self.relevant[n])]
        if contiguity == 'relaxed':
            fitting = fitting[:1]
        return [n for n in fitting if self.allowed(chain, step, n)]

    def fits(self, chain, step, event):
        """when, same and where."""
        spec = self.steps[step]
        return (meets(self.world, event, spec['when']) and self.same(chain, spec, event) and
                all(self.related(chain, event, field, relations) for field, relations in spec.get('where', {}).items()))

    def same(self, chain, spec, event):
        first = self.relevant[chain[0][0]]
        return all(equal(self.world.value(event, f), self.world.value(first, f)) for f in spec.get('same', []))

    def breaks(self, chain, entry, event):
        """Whether an event is one that was to be absent."""
        return meets(self.world, event, entry['absent']) and self.same(chain, entry, event)

    def related(self, chain, event, field, relations):
        value = self.world.value(event, field)
        for comparison, reference in relations.items():
            name, _, other_field = reference.partition('.')
            taken = self.taken(chain, self.step_named(name))
            other = self.world.value(taken[-1], other_field) if taken else None
            if comparison == 'ne':
                ok = not equal(value, other)
            elif value is None or other is None:
                ok = False
            elif comparison == 'eq':
                ok = equal(value, other)
            else:
                ok = is_number(other) and passes(value, comparison, other)
            if not ok:
                return False
        return True

    def step_named(self, name):
        return [s.get('as') for s in self.steps].index(name)

    def allowed(self, chain, step, n):
        """gap, within, absences and until."""
        event, previous, first = self.relevant[n], self.relevant[chain[-1][0]], self.relevant[chain[0][0]]
        gap = self.steps[step].get('gap', {})
        gap = gap if isinstance(gap, dict) else {'at_most': gap}
        passed = event['occurred_at'] - previous['occurred_at']
        if passed < duration(gap.get('at_least', '')) or 'at_most' in gap and passed > duration(gap['at_most']):
            return False
        if 'within' in self.spec and event['occurred_at'] - first['occurred_at'] >= duration(self.spec['within']):
            return False
        for entry, place in self.absences:
            if chain[-1][1] <= place < step and any(self.breaks(chain, entry, e) for e in self.relevant[chain[-1][0] + 1:n]):
                return False
        if 'until' in self.spec:
            return not any(meets(self.world, e, self.spec['until']) for e in self.relevant[chain[0][0] + 1:n + 1])
        return True

    def instant(self, chain):
        """When a chain that waits for silence is complete; None if somebody spoke."""
        n = chain[-1][0]
        instant = self.relevant[n]['occurred_at'] + duration(self.silence['for'])
        for e in self.relevant[n + 1:]:
            if e['occurred_at'] <= instant and (self.breaks(chain, self.silence, e) or
                                                'until' in self.spec and meets(self.world, e, self.spec['until'])):
                return None
        return instant

    def instants(self):
        return sorted({self.instant(c) for c in self.chains} - {None}) if self.silence else []

    def best(self, chains, spent):
        """Of chains that are complete at once, the one whose events are the latest."""
        chains = [c for c in chains if order(self.relevant[c[0][0]]) > spent]
        if not chains:
            return None

        # from the end; where one ends, the longer is greater
        def key(chain):
            return [n for n, _ in reversed(chain)]
        winners = [c for c in chains if key(c) == max(map(key, chains))]
        evidence = [self.relevant[n] for n, _ in winners[0]]
        return Found(evidence, [strength(self.rule, names_of(self.world, evidence, self.names(c))) for c in winners])

    def names(self, chain):
        more = {}
        for step, spec in enumerate(self.steps):
            if 'as' in spec:
                taken = self.taken(chain, step)
                more[spec['as'] + '.count'] = len(taken)
                for name in re.findall(re.escape(spec['as']) + r'\.(dwell|properties\.[\w.]+)', str(self.rule.get('strength'))):
                    more[spec['as'] + '.' + name] = self.world.field(taken[-1], name) if taken else None
        return more

    def at(self, n, spent):
        if self.silence:
            return False, False, None
        found = self.best([c for c in self.chains if c[-1][0] == n], spent)
        return found is not None, True, found

    def at_instant(self, instant, spent):
        return self.best([c for c in self.chains if self.instant(c) == instant], spent)


def pattern_of(rule):
    if 'sequence' in rule:
        return Sequence
    if 'streak' in rule:
        return Streak
    if any(m in rule for m in ('count', 'sum', 'distinct')):
        return Windows
    return Each


def relevant_to(rule, world, event):
    if not meets(world, event, rule.get('when', {})) or not in_local_time(world, event, rule.get('local_time', {})):
        return False
    streak = rule.get('streak', {})
    return not (streak.get('weekdays') and world.local(event, streak.get('time_zone')).weekday() >= 5)


def moments_of_subject(rule, world, events, now):
    """(occurred_at, evidence, strengths, by_timer) of one subject's events, which are in order."""
    relevant = [e for e in events if relevant_to(rule, world, e)]
    pattern = pattern_of(rule)(rule, world, relevant)
    cooldown = duration(rule['cooldown']) if 'cooldown' in rule else 0
    once = rule.get('once')
    until = once['until'] if isinstance(once, dict) else None
    keeps = once == 'per_episode' or rule.get('sequence', {}).get('skip') == 'to_next'
    spent = (-math.inf, 0, '')
    free_at = -math.inf
    waiting = False     # for once.until
    same_episode = False
    result = []
    points = [(order(e), e) for e in events]
    if isinstance(pattern, Sequence):
        points += [(end_of(t), None) for t in pattern.instants() if t <= now]

    for point, event in sorted(points, key=lambda p: p[0]):
        if event is not None:
            if until and meets(world, event, until):
                waiting = False
            if event not in relevant:
                continue
            holds, added, found = pattern.at(relevant.index(event), spent)
            if not holds:
                same_episode = False
            if not added:
                continue
        else:
            found = pattern.at_instant(point[0], spent)
        if found is None or point[0] < free_at or waiting or same_episode:
            continue
        result.append((point[0], found.evidence[-MOST_EVIDENCE:], found.strengths, event is None))
        free_at = point[0] + cooldown
        waiting = until is not None
        same_episode = once == 'per_episode'
        if not keeps:
            spent = point
    return result


def moments(rule, events, now, world=None):
    """All moments of the rule, of all subjects, in the order of subject and time."""
    world = World(world or {})
    kind = rule.get('per', 'person')
    events = sorted({e['event_id']: e for e in events}.values(), key=order)
    subjects = sorted({world.subject(e, kind) for e in events} - {None})
    result = []
    for subject in subjects:
        own = [e for e in events if world.subject(e, kind) == subject]
        for occurred_at, evidence, strengths, by_timer in moments_of_subject(rule, world, own, now):
            result.append(Moment(kind, subject, occurred_at, [e['event_id'] for e in evidence], strengths[0], by_timer, sorted(set(strengths))))
    return result

"""Random rules and random streams of events, from a seed: small alphabets and a coarse grid of time, so that equal times, edges of
windows, exact pauses and deadlines, and borders of days are frequent.

A round is {"grid", "end", "rules": [rule], "streams": [{"events", "persons", "accounts", "opportunities", "reps"}], "time_zone"}. Every rule
concerns every stream. The keys of a stream's subjects end in its mark (@3), so that the streams share no subject.

  random_rules.py --seed 1 --rounds 2 --rules 10 --streams 3     prints what it makes
"""
import argparse
import json
import random
import time
import uuid

GRIDS = (60, 900, 1800, 3600, 3 * 3600, 6 * 3600, 8 * 3600, 12 * 3600)
ZONES = ('UTC', 'Asia/Shanghai', 'America/New_York', 'Europe/London', 'Asia/Kolkata', 'Pacific/Auckland')
KINDS = ('view', 'mail', 'call')
OBJECTS = ('/a', '/a/b', '/c')
BODIES = ('too slow', 'price, please', '')
TITLES = ('CTO', 'buyer')
SEGMENTS = ('smb', 'enterprise')
# 2026: midnights near which clocks change (America 8 March, Europe 29 March, New Zealand 5 April), and the end of a year
STARTS = (1772755200, 1774483200, 1775088000, 1798588800, 1780272000)


def text_of(seconds):
    """A duration as people write it."""
    for size, unit in ((86400, 'day'), (3600, 'hour'), (60, 'minute')):
        if seconds % size == 0 and seconds >= size:
            return '%d %s%s' % (seconds // size, unit, '' if seconds == size else 's')
    return '%ds' % seconds


class Maker:
    def __init__(self, rng, grid):
        self.rng = rng
        self.grid = grid

    def chance(self, p):
        return self.rng.random() < p

    def span(self, least, most):
        """A duration that is a whole number of grid steps, or now and then nearly."""
        seconds = self.rng.randint(least, most) * self.grid
        return text_of(seconds + self.rng.choice((-1, 1)) if self.chance(0.05) else seconds)

    # conditions

    def text_test(self, values):
        rng = self.rng
        value = rng.choice(values)
        return rng.choice((value, value, value, rng.sample(values, min(2, len(values))), {'ne': value}, {'exists': self.chance(0.5)},
                           {'prefix': value[:2]}, {'like': '%' + value[-1:]}, {'like': '_' + value[1:]}, {'in': rng.sample(values, 1)}))

    def number_test(self, values, write=lambda x: x):
        rng = self.rng
        value = write(rng.choice(values))
        return rng.choice(({'gt': value}, {'gte': value}, {'lt': value}, {'lte': value}, value, {'ne': value}, {'exists': self.chance(0.5)},
                           {'gte': write(min(values)), 'lt': value}))

    def local_time(self):
        rng = self.rng
        spec = {}
        if self.chance(0.8):
            spec['from'], spec['to'] = rng.sample(('00:00', '06:00', '08:00', '09:30', '12:00', '18:00', '22:00', '24:00'), 2)
            if spec['from'] == '24:00':
                spec['from'] = '20:00'
            if (spec['from'], spec['to']) == ('00:00', '24:00'):
                spec['to'] = '12:00'
        if not spec or self.chance(0.4):
            spec['days'] = rng.sample(('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'), rng.randint(3, 6))
        if self.chance(0.4):
            spec['time_zone'] = rng.choice(ZONES)
        return spec

    def field_test(self):
        rng = self.rng
        return rng.choice((
            lambda: {'kind': self.text_test(KINDS)},
            lambda: {'kind': rng.choice(KINDS)},
            lambda: {'object': self.text_test(OBJECTS)},
            lambda: {'side': rng.choice(('customer', 'rep', {'ne': 'rep'}))},
            lambda: {'channel': self.text_test(('web', 'wecom'))},
            lambda: {'dwell': self.number_test((0, 30, 60, 90), text_of)},
            lambda: {'body': self.text_test(BODIES[:2])},
            lambda: {'person': rng.choice(({'prefix': 'p1@'}, {'like': 'p_@%'}, {'exists': False}, {'like': '%2@%'}))},
            lambda: {'account': rng.choice(({'prefix': 'a1@'}, {'exists': True}, {'like': 'a2@%'}))},
            lambda: {rng.choice(('rep', 'opportunity')): rng.choice(({'exists': True}, {'exists': False}, {'like': '_1@%'}))},
            lambda: {'properties.n': self.number_test((-1, 0, 1, 2, 2.5))},
            lambda: {'properties.t': self.text_test(('x', 'y', 'z'))},
            lambda: {'properties.b': self.chance(0.5)},
            lambda: {'properties.page.path': rng.choice(('/p', {'exists': True}))},
            lambda: {'intent': rng.choice(('delivery', 'price', ['delivery', 'price'], {'exists': False}, {'ne': 'price'}, {'prefix': 'de'}))},
            lambda: {'sentiment': self.number_test((-1, -0.5, 0, 0.5))},
            lambda: {'local_time': self.local_time()},
            lambda: {'person.title': self.text_test(TITLES)},
            lambda: {'person.properties.vip': rng.choice((True, {'exists': False}, {'ne': True}))},
            lambda: {'account.segment': self.text_test(SEGMENTS)},
            lambda: {'account.owner': rng.choice(({'exists': True}, {'like': 'r1@%'}))},
            lambda: {'account.properties.tier': self.number_test((1, 2, 3))},
            lambda: {'account.open_opportunity': self.chance(0.6)},
            lambda: {'opportunity.stage': rng.choice(('offer', {'ne': 'offer'}, {'exists': True}))},
            lambda: {'opportunity.status': rng.choice(('open', ['open', 'won']))},
            lambda: {'opportunity.amount': self.number_test((100, 250.5, 1000))},
        ))()

    def condition(self, depth=2):
        """Any condition."""
        rng = self.rng
        what = rng.random()
        if depth == 0 or what < 0.55:
            return self.field_test()
        if what < 0.7:
            return {**self.field_test(), **self.field_test()}
        if what < 0.8:
            return {'any': [self.condition(depth - 1), self.condition(depth - 1)]}
        if what < 0.9:
            return {'not': self.condition(depth - 1)}
        return {'all': [self.condition(depth - 1), self.condition(depth - 1)], **(self.field_test() if self.chance(0.3) else {})}

    def simple(self):
        """A condition that many events meet."""
        rng = self.rng
        what = rng.random()
        if what < 0.5:
            return {'kind': rng.choice(KINDS)}
        if what < 0.65:
            return {'kind': rng.sample(KINDS, 2)}
        if what < 0.75:
            return {'side': rng.choice(('customer', 'rep'))}
        if what < 0.85:
            return {'object': {'prefix': rng.choice(('/a', '/'))}}
        return self.condition()

    # strength

    def formula(self, names, depth=2):
        rng = self.rng
        if depth == 0 or self.chance(0.25):
            return rng.choice((rng.choice(names), rng.choice(names), rng.choice(('1', '0.5', '2', '10', '3600', '0'))))
        a, b = self.formula(names, depth - 1), self.formula(names, depth - 1)
        return rng.choice(('%s + %s', '%s - %s', '(%s) * (%s)', '(%s) / (%s)', '%s / (%s)', 'min(%s, %s)', 'max(%s, %s)',
                           'sqrt(%s) / (%s)', 'ln(%s) + %s', 'exp(0 - (%s)) * (%s)')) % (a, b)

    def strength(self, rule, names):
        if self.chance(0.2):
            rule['strength'] = self.rng.choice((0, 0.25, 1, 0.8))
        elif self.chance(0.6):
            names = names + ['count', 'span', 'dwell', 'properties.n']
            body = self.formula(names)
            rule['strength'] = self.rng.choice(('%s', '(%s) / 10', '1 - 1 / (1 + max(0, %s))')) % body

    # patterns

    def of(self):
        return self.rng.choice(('dwell', 'dwell', 'properties.n'))

    def at_least(self, of, most):
        if of == 'dwell':
            return text_of(30 * self.rng.randint(1, most))
        return self.rng.choice((0.5, 1, 2, 2.5, 3, 4.5, 6))

    def windows(self, rule):
        rng = self.rng
        measures = rng.sample(('count', 'sum', 'distinct'), rng.choice((1, 1, 1, 2, 3)))
        for measure in measures:
            spec = {'count': lambda: {}, 'sum': lambda: {'of': self.of()},
                    'distinct': lambda: {'of': rng.choice(('object', 'object', 'kind', 'person', 'channel', 'properties.t', 'properties.n', 'properties.b'))}}[measure]()
            spec['at_least'] = rng.randint(1, 4) if measure == 'count' else rng.randint(1, 3) if measure == 'distinct' else self.at_least(spec['of'], 8)
            if self.chance(0.35):
                spec['session'] = self.span(1, 3)
            if 'session' not in spec or self.chance(0.5):
                spec['within'] = self.span(1, 8)
            rule[measure] = spec
        return [m for m in measures if m != 'count']

    def streak(self, rule):
        rng = self.rng
        spec = {'days': rng.choice((1, 2, 2, 2, 3, 3, 4))}
        what = rng.random()
        if what < 0.3:
            spec['each'] = {'count': rng.randint(1, 3)}
        elif what < 0.7:
            of = self.of()
            spec['each'] = {rng.choice(('sum', 'max')): {'of': of, 'at_least': self.at_least(of, 4)}}
        if self.chance(0.35):
            spec['weekdays'] = True
        if self.chance(0.3):
            spec['time_zone'] = rng.choice(ZONES)
        rule['streak'] = spec
        return ['days'] + (['sum'] if 'sum' in spec.get('each', {}) else [])

    def absence(self):
        entry = {'absent': self.simple() if self.chance(0.9) else {'kind': 'never'}}
        if self.chance(0.25):
            entry['same'] = self.rng.sample(('object', 'kind', 'channel', 'rep'), 1)
        return entry

    def sequence(self, rule):
        rng = self.rng
        number = rng.choice((1, 2, 2, 2, 3, 3, 4))
        silent = self.chance(0.35)
        steps, entries, names = [], [], []
        for i in range(number):
            step = {'when': self.simple() if self.chance(0.9) else self.condition()}
            last = i == number - 1
            if self.chance(0.6):
                step['as'] = rng.choice(('first', 'look', 'ask', 'answer')) + ('' if i == 0 else str(i))
            alone = number == 1 and not silent      # needs at least two events
            if alone or self.chance(0.35):
                least = rng.randint(2 if alone else 1, 3)
                step['times'] = least if last or self.chance(0.4) else rng.choice((
                    {'at_least': least, 'at_most': least + rng.randint(0, 2)}, {'at_least': least}, {'at_most': least}))
            if 0 < i < number - 1 and self.chance(0.4):
                step['optional'] = True
            if i > 0 or step.get('times', 1) not in (1, {'at_most': 1}, {'at_least': 1, 'at_most': 1}):
                if self.chance(0.5):
                    step['contiguity'] = rng.choice(('relaxed', 'strict', 'strict', 'any', 'any'))
                if self.chance(0.25):
                    step['gap'] = rng.choice((self.span(1, 4), self.span(1, 4), {'at_least': self.span(1, 2)},
                                              {'at_least': self.span(1, 1), 'at_most': self.span(3, 5)}))
                if self.chance(0.2):
                    step['same'] = rng.sample(('object', 'object', 'kind', 'channel', 'person', 'properties.t', 'properties.n'), rng.choice((1, 1, 2)))
            earlier = [s['as'] for s in steps if 'as' in s]
            if earlier and self.chance(0.4):
                other = rng.choice(earlier)
                step['where'] = rng.choice((
                    lambda: {'dwell': {rng.choice(('eq', 'ne', 'gt', 'gte', 'lt', 'lte')): other + '.dwell'}},
                    lambda: {'object': {rng.choice(('eq', 'ne')): other + '.object'}},
                    lambda: {'properties.n': {rng.choice(('eq', 'ne', 'gt', 'gte', 'lt', 'lte')): other + '.properties.n'}},
                    lambda: {'dwell': {'gte': other + '.dwell'}, 'channel': {'ne': other + '.channel'}},
                ))()
            if steps and self.chance(0.25):
                entries.append(self.absence())
            steps.append(step)
            entries.append(step)
            if 'as' in step:
                names += [step['as'] + x for x in ('.count', '.dwell', '.properties.n')]
        if silent:
            entries.append({**self.absence(), 'for': self.span(1, 5)})
        spec = {'steps': entries}
        if number > 1 or steps[0].get('times', 1) != 1 or self.chance(0.2):
            spec['within'] = self.span(2, 12)
        if self.chance(0.2):
            spec['until'] = self.simple()
        if self.chance(0.35):
            spec['skip'] = rng.choice(('to_next', 'to_next', 'past_last'))
        rule['sequence'] = spec
        return names

    def rule(self, parts):
        rng = self.rng
        what = rng.choice(parts)
        rule = {'title': what}
        if self.chance(0.5):
            rule['per'] = rng.choice(('person', 'account', 'account', 'rep', 'opportunity'))
        if what == 'each':
            rule['when'] = self.condition()
        elif self.chance(0.45):
            rule['when'] = self.simple()
        names = {'each': lambda rule: [], 'windows': self.windows, 'streak': self.streak, 'sequence': self.sequence}[what](rule)
        if self.chance(0.12):
            rule['local_time'] = self.local_time()
        if self.chance(0.3):
            rule['cooldown'] = self.span(1, 6)
        if self.chance(0.35):
            rule['once'] = 'per_episode' if what in ('windows', 'streak') and self.chance(0.6) else {'until': self.simple()}
        self.strength(rule, names)
        return rule

    # streams

    def properties(self):
        rng = self.rng
        p = {}
        if self.chance(0.6):
            p['n'] = rng.choice((-1, 0, 1, 1, 2, 2.5))
        if self.chance(0.5):
            p['t'] = rng.choice(('x', 'y', 'z'))
        if self.chance(0.2):
            p['b'] = self.chance(0.5)
        if self.chance(0.2):
            p['page'] = {'path': '/p'}
        if self.chance(0.4):
            p['intents'] = rng.choice(('delivery', 'price', ['delivery', 'price'], ['price'], ['delivery', 'security']))
        if self.chance(0.4):
            p['sentiment'] = rng.choice((-1, -0.5, 0, 0.5, 1))
        if self.chance(0.05):
            p['n'] = rng.choice((None, 'x', True, [1, 2]))
        return p if p or self.chance(0.5) else None

    def stream(self, mark, start, most):
        rng = self.rng
        key = lambda name: '%s@%s' % (name, mark)
        persons = ['p1', 'p2'][:rng.choice((1, 1, 2))]
        stream = {'persons': {}, 'accounts': {}, 'opportunities': {}, 'reps': [key('r1'), key('r2')]}
        for a in ('a1', 'a2'):
            stream['accounts'][key(a)] = {
                'owner': rng.choice((None, key('r1'), key('r2'))), 'segment': rng.choice((None,) + SEGMENTS),
                'time_zone': rng.choice((None,) + ZONES), 'properties': rng.choice(({}, {'tier': rng.randint(1, 3)}))}
        for p in persons:
            if self.chance(0.85):
                stream['persons'][key(p)] = {
                    'account': rng.choice((None, key('a1'), key('a1'), key('a2'))), 'title': rng.choice((None,) + TITLES),
                    'time_zone': rng.choice((None, None) + ZONES), 'properties': rng.choice(({}, {'vip': True}, {'vip': False}))}
        visitor = self.chance(0.15) and key(persons[0]) in stream['persons']
        if visitor:
            stream['persons'][key('v1')] = {'identity': key(persons[0]), 'account': rng.choice((None, None, key('a2'))), 'time_zone': rng.choice((None,) + ZONES)}
            persons.append('v1')
        for o in ('o1', 'o2'):
            if self.chance(0.7):
                stream['opportunities'][key(o)] = {
                    'account': rng.choice((None, key('a1'), key('a2'))), 'stage': rng.choice((None, 'offer', 'lead')),
                    'status': rng.choice(('open', 'open', 'won', 'lost')), 'amount': rng.choice((None, 100, 250.5, 1000))}

        steps = rng.randint(4, 20)
        bursts = self.chance(0.3)
        at = 0
        events = []
        for _ in range(rng.randint(3, most)):
            at = at + rng.choice((0, 0, 1, 1, 2)) if bursts else rng.randint(0, steps)
            second = rng.choice((-1, 1)) if self.chance(0.03) else 0
            some = lambda p, *values: key(rng.choice(values)) if self.chance(p) else None
            events.append({
                'event_id': str(uuid.UUID(int=rng.getrandbits(128))), 'occurred_at': start + at * self.grid + second,
                'person': some(0.93, *persons), 'account': some(0.3, 'a1', 'a2'), 'rep': some(0.7, 'r1', 'r1', 'r2'),
                'opportunity': some(0.6, 'o1', 'o1', 'o2'), 'side': 'customer' if self.chance(0.7) else 'rep',
                'channel': rng.choice(('web', 'wecom')), 'kind': rng.choice(KINDS), 'object': rng.choice((None,) + OBJECTS),
                'dwell': rng.choice((None, 0, 30, 60, 60, 90, 120)), 'body': rng.choice((None,) + BODIES), 'properties': self.properties(),
                # how it arrives, where the order of arrival is not that of time
                'shuffle': rng.random(), 'delay': rng.choice((0, 0, 0, 0, 1, 2, 5, 30)) * self.grid, 'cut': rng.random()})
        stream['events'] = sorted(events, key=lambda e: (e['occurred_at'], e['event_id']))
        return stream


PARTS = ('each', 'windows', 'windows', 'windows', 'streak', 'streak', 'sequence', 'sequence', 'sequence', 'sequence', 'sequence')


def make_round(seed, number, rules, streams, parts=PARTS, most=14):
    rng = random.Random('%s/%s' % (seed, number))
    grid = rng.choice(GRIDS)
    maker = Maker(rng, grid)
    start = rng.choice(STARTS) + rng.randint(0, 3) * rng.choice((3600, 6 * 3600, 86400))
    made = {'seed': seed, 'number': number, 'grid': grid, 'time_zone': rng.choice(ZONES),
            'rules': [maker.rule(parts) for _ in range(rules)],
            'streams': [maker.stream(n, start, most) for n in range(1, streams + 1)]}
    last = max(e['occurred_at'] for s in made['streams'] for e in s['events'])
    made['end'] = last + rng.choice((0, 1, 3, 40)) * grid
    return made


def world_of(made, stream):
    return {'persons': stream['persons'], 'accounts': stream['accounts'], 'opportunities': stream['opportunities'],
            'time_zone': made['time_zone']}


def main():
    p = argparse.ArgumentParser(description='Random rules and streams')
    p.add_argument('--seed', type=int, default=int(time.time()))
    p.add_argument('--rounds', type=int, default=1)
    p.add_argument('--rules', type=int, default=10)
    p.add_argument('--streams', type=int, default=3)
    a = p.parse_args()
    for number in range(a.rounds):
        print(json.dumps(make_round(a.seed, number, a.rules, a.streams)))


if __name__ == '__main__':
    main()

"""The oracle itself, on examples done by hand: what docs/moments.md says, sentence by sentence."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import oracle

MINUTE, HOUR, DAY = 60, 3600, 86400
MONDAY = 1767571200     # 2026-01-05 00:00 UTC


def event(name, at, **fields):
    return {'event_id': name, 'occurred_at': at, 'person': 'p', 'kind': 'view', 'side': 'customer', 'channel': 'web', **fields}


def stream(text):
    """'a0 b5': events of kinds a and b, at minutes 0 and 5, with the ids e1, e2; 'a0:30' has a dwell of 30 seconds."""
    events = []
    for n, word in enumerate(text.split(), 1):
        at, _, dwell = word[1:].partition(':')
        events.append(event('e%02d' % n, float(at) * MINUTE, kind=word[0], dwell=float(dwell) if dwell else None))
    return events


def steps(text, **more):
    """'a b': steps of those kinds, named as them."""
    return {'steps': [{'as': k, 'when': {'kind': k}} for k in text.split()], 'within': '1 day', **more}


def run(rule, events, now=1e10, **world):
    """What the moments are, briefly: 'e01,e02' for each, with @minute if it came by a timer."""
    if isinstance(events, str):
        events = stream(events)
    return [','.join(m.evidence) + ('@%g' % (m.occurred_at / MINUTE) if m.by_timer else '') for m in oracle.moments(rule, events, now, world)]


def strength(formula, rule, events):
    return [m.strength for m in oracle.moments({**rule, 'strength': formula}, stream(events), 1e10)]


class Conditions(unittest.TestCase):
    def meets(self, condition, fields=None, **world):
        return bool(run({'when': condition}, [event('e', MONDAY, **(fields or {}))], **world))

    def test_missing(self):
        self.assertFalse(self.meets({'object': '/a'}))
        self.assertTrue(self.meets({'object': {'ne': '/a'}}))
        self.assertTrue(self.meets({'not': {'object': '/a'}}))
        self.assertTrue(self.meets({'object': {'exists': False}}))
        self.assertFalse(self.meets({'object': {'exists': True}}))
        self.assertFalse(self.meets({'object': {'ne': '/a', 'like': '%'}}))
        self.assertFalse(self.meets({'properties.n': {'lt': 5}}, {'properties': {'n': None}}))

    def test_comparisons(self):
        self.assertTrue(self.meets({'object': ['/b', '/a']}, {'object': '/a'}))
        self.assertTrue(self.meets({'object': {'like': '/_%c'}}, {'object': '/abc'}))
        self.assertFalse(self.meets({'object': {'like': '/_'}}, {'object': '/abc'}))
        self.assertTrue(self.meets({'dwell': {'gte': '90s', 'lt': '2 minutes'}}, {'dwell': 90}))
        self.assertFalse(self.meets({'dwell': {'gt': '90s'}}, {'dwell': 90}))
        self.assertFalse(self.meets({'properties.n': 1}, {'properties': {'n': True}}))
        self.assertFalse(self.meets({'properties.n': '1'}, {'properties': {'n': 1}}))
        self.assertTrue(self.meets({'properties.a.b': 1.0}, {'properties': {'a': {'b': 1}}}))

    def test_lists(self):
        both = {'properties': {'intents': ['price', 'delivery'], 'sentiment': -0.5}}
        self.assertTrue(self.meets({'intent': 'delivery'}, both))
        self.assertFalse(self.meets({'intent': {'ne': 'delivery'}}, both))
        self.assertTrue(self.meets({'intent': 'delivery'}, {'properties': {'intents': 'delivery'}}))
        self.assertTrue(self.meets({'sentiment': {'lte': -0.5}}, both))

    def test_feelings(self):
        oracle.FEELINGS['bad'] = -0.4
        self.assertTrue(self.meets({'sentiment': -0.4}, {'body': 'bad'}))
        self.assertTrue(self.meets({'sentiment': 1}, {'body': 'bad', 'properties': {'sentiment': 1}}))
        self.assertFalse(self.meets({'sentiment': {'exists': True}}, {'properties': {'n': 1}}))

    def test_combined(self):
        self.assertTrue(self.meets({'kind': 'view', 'any': [{'kind': 'x'}, {'all': [{'side': 'customer'}]}], 'not': {'kind': 'x'}}))
        self.assertFalse(self.meets({'kind': 'view', 'not': {'side': 'customer'}}))

    def test_local_time(self):
        night = {'local_time': {'from': '22:00', 'to': '06:00'}}
        self.assertTrue(self.meets(night))
        self.assertFalse(self.meets(night, persons={'p': {'time_zone': 'Asia/Shanghai'}}))
        self.assertFalse(self.meets(night, persons={'p': {'account': 'a'}}, accounts={'a': {'time_zone': 'Asia/Shanghai'}}))
        self.assertFalse(self.meets(night, time_zone='Asia/Shanghai'))
        self.assertTrue(self.meets({'local_time': {'days': ['sun'], 'time_zone': 'America/New_York'}}))
        self.assertFalse(self.meets({'local_time': {'from': '22:00', 'to': '00:00'}}))
        self.assertFalse(self.meets({'local_time': {'from': '07:00', 'to': '08:00', 'time_zone': 'Asia/Shanghai'}}))
        self.assertTrue(self.meets({'local_time': {'from': '08:00', 'to': '24:00', 'time_zone': 'Asia/Shanghai'}}))

    def test_attributes(self):
        world = {'persons': {'p': {'account': 'a', 'title': 'CTO', 'properties': {'vip': True}}, 'v': {'identity': 'p'}},
                 'accounts': {'a': {'segment': 'smb'}, 'b': {}}, 'opportunities': {'o': {'account': 'a', 'status': 'open', 'amount': 10}}}
        self.assertTrue(self.meets({'person.title': 'CTO', 'account.segment': 'smb', 'account': 'a', 'person.properties.vip': True}, **world))
        self.assertTrue(self.meets({'person': 'p', 'account.open_opportunity': True}, {'person': 'v'}, **world))
        self.assertTrue(self.meets({'account.open_opportunity': False, 'account.segment': {'exists': False}}, {'account': 'b'}, **world))
        self.assertTrue(self.meets({'opportunity.amount': {'gt': 9}, 'opportunity.status': ['open']}, {'opportunity': 'o'}, **world))
        self.assertFalse(self.meets({'opportunity.amount': {'gt': 9}}, **world))


class Windows(unittest.TestCase):
    def test_each(self):
        self.assertEqual(run({'when': {'kind': 'a'}}, 'a0 b1 a1'), ['e01', 'e03'])
        self.assertEqual(run({'when': {'kind': 'a'}, 'cooldown': '5 minutes'}, 'a0 a4 a5 a9.9 a10'), ['e01', 'e03', 'e05'])

    def test_edge(self):
        rule = {'when': {'kind': 'a'}, 'count': {'at_least': 2, 'within': '10 minutes'}}
        self.assertEqual(run(rule, 'a0 a10 a19'), ['e02,e03'])
        self.assertEqual(run(rule, 'a0 a9 a10 a11'), ['e01,e02', 'e03,e04'])

    def test_order_of_equal_times(self):
        events = [event('b', 0), event('a', 0), event('c', 0), event('a', 0)]
        self.assertEqual(run({'count': {'at_least': 2, 'within': '1 minute'}}, events), ['a,b'])

    def test_sum(self):
        rule = {'sum': {'of': 'dwell', 'at_least': '1 minute', 'within': '10 minutes'}}
        self.assertEqual(run(rule, 'a0:30 a1:0 a2:-5 a3 a4:30 a5:59'), ['e01,e05'])

    def test_distinct(self):
        rule = {'distinct': {'of': 'kind', 'at_least': 2, 'within': '10 minutes'}}
        self.assertEqual(run(rule, 'a0 a1 b2 b3 b4 a5'), ['e02,e03', 'e05,e06'])

    def test_measures_together(self):
        rule = {'count': {'at_least': 3, 'within': '10 minutes'}, 'sum': {'of': 'dwell', 'at_least': '1 minute', 'within': '5 minutes'}}
        self.assertEqual(run(rule, 'a0:60 a1 a2 a3'), ['e01,e02,e03'])
        self.assertEqual(run(rule, 'a0:60 a6 a7 a8:60'), ['e02,e03,e04'])
        # holds all the while, but only what adds completes it
        rule = {'sum': {'of': 'dwell', 'at_least': '1 minute', 'within': '10 minutes'}, 'cooldown': '2 minutes'}
        self.assertEqual(run(rule, 'a0:60 a1:60 a2 a3:1'), ['e01', 'e02,e04'])

    def test_session(self):
        rule = {'when': {'kind': 'a'}, 'count': {'at_least': 3, 'session': '10 minutes'}}
        self.assertEqual(run(rule, 'a0 a9 a19 a20 a21'), ['e03,e04,e05'])
        self.assertEqual(run(rule, 'a0 a9 b18 a19 a28 a37'), ['e04,e05,e06'])
        # what adds nothing ends a pause all the same
        self.assertEqual(run({'sum': {'of': 'dwell', 'at_least': '1 minute', 'session': '10 minutes'}}, 'a0:30 a9 a18:30'), ['e01,e03'])
        self.assertEqual(run({'count': {'at_least': 2, 'session': '1 day'}}, [event('a', 0), event('b', DAY - 1)]), ['a,b'])

    def test_cooldown_keeps_the_window(self):
        rule = {'count': {'at_least': 2, 'within': '10 minutes'}, 'cooldown': '5 minutes'}
        self.assertEqual(run(rule, 'a0 a1 a2 a3 a4 a6'), ['e01,e02', 'e05,e06'])

    def test_per_episode(self):
        rule = {'count': {'at_least': 2, 'within': '10 minutes'}, 'once': 'per_episode'}
        self.assertEqual(run(rule, 'a0 a1 a2 a11 a12 a22 a23'), ['e01,e02', 'e06,e07'])

    def test_once_until(self):
        rule = {'when': {'kind': 'a'}, 'once': {'until': {'kind': 'b'}}}
        self.assertEqual(run(rule, 'b0 a1 a2 b3 b4 a5 a6'), ['e02', 'e06'])
        self.assertEqual(run({**rule, 'once': {'until': {'kind': 'a'}}}, 'a0 a0 a1'), ['e01', 'e02', 'e03'])
        self.assertEqual(run({'when': {'kind': 'a'}, 'count': {'at_least': 2, 'within': '1 hour'}, 'once': {'until': {'kind': 'b'}}},
                             'a0 a1 a2 a3 b4 a5'), ['e01,e02', 'e04,e06'])

    def test_subjects(self):
        events = [event('e1', 0, account='x'), event('e2', 1, person='q'), event('e3', 2, person=None, account='x'), event('e4', 3, person=None)]
        self.assertEqual(run({'per': 'account', 'count': {'at_least': 2, 'within': '1 hour'}}, events, persons={'q': {'account': 'x'}}), ['e1,e2'])
        self.assertEqual(run({'count': {'at_least': 1, 'within': '1 hour'}}, events), ['e1', 'e2'])

    def test_deciding(self):
        rule = {'sum': {'of': 'dwell', 'at_least': '1 minute', 'within': '1 hour'}, 'when': {'kind': 'a'}, 'local_time': {'from': '00:10', 'to': '24:00'}}
        self.assertEqual(run(rule, 'a1:60 a10:20 a11:30 a12:10 a13:59 a14 a15:1'), ['e02,e03,e04', 'e05,e07'])
        rule = {'sum': {'of': 'dwell', 'at_least': '1 minute', 'within': '1 hour'}, 'count': {'at_least': 1, 'within': '1 hour'}, 'cooldown': '2 minutes'}
        self.assertEqual(run(rule, 'a0:60 a1:50 a1:60 a2'), ['e01', 'e03,e04'])
        self.assertEqual(strength('sum / 120', {'sum': {'of': 'dwell', 'at_least': '1 minute', 'within': '1 hour'}}, 'a0:30 a1:600'), [0.5])

    def test_newest_64(self):
        m = oracle.moments({'count': {'at_least': 70, 'within': '1 hour'}, 'strength': 'count / 100'}, [event('%03d' % n, n) for n in range(80)], 1e9)
        self.assertEqual((len(m), m[0].evidence[0], m[0].evidence[-1], len(m[0].evidence), m[0].strength), (1, '006', '069', 64, 0.7))


class Streaks(unittest.TestCase):
    def days(self, spec, hours, more=None, **world):
        return run({'streak': spec, **(more or {})}, [event('e%g' % h, MONDAY + h * HOUR, dwell=30) for h in hours], **world)

    def test_days(self):
        self.assertEqual(self.days({'days': 2}, [1, 25, 26, 49, 73]), ['e1,e25', 'e26,e49'])
        self.assertEqual(self.days({'days': 2}, [1, 49, 73]), ['e49,e73'])
        self.assertEqual(self.days({'days': 2}, [23, 24]), ['e23,e24'])

    def test_zone(self):
        self.assertEqual(self.days({'days': 2, 'time_zone': 'Asia/Shanghai'}, [15, 16]), ['e15,e16'])
        self.assertEqual(self.days({'days': 2}, [15, 16], persons={'p': {'time_zone': 'Asia/Shanghai'}}), ['e15,e16'])
        self.assertEqual(self.days({'days': 2}, [15, 16]), [])

    def test_each(self):
        self.assertEqual(self.days({'days': 2, 'each': {'count': 2}}, [1, 2, 25, 26, 49, 50]), ['e1,e2,e25,e26'])
        self.assertEqual(self.days({'days': 2, 'each': {'sum': {'of': 'dwell', 'at_least': '1 minute'}}}, [1, 2, 25, 26]), ['e1,e2,e25,e26'])
        self.assertEqual(self.days({'days': 2, 'each': {'max': {'of': 'dwell', 'at_least': '1 minute'}}}, [1, 2, 25, 26]), [])
        self.assertEqual(self.days({'days': 2, 'each': {'max': {'of': 'dwell', 'at_least': '30s'}}}, [1, 25]), ['e1,e25'])

    def test_deciding(self):
        self.assertEqual(self.days({'days': 2}, [1, 2, 3, 25], {}), ['e1,e25'])
        self.assertEqual(self.days({'days': 2, 'each': {'count': 2}}, [1, 2, 3, 25, 26]), ['e1,e2,e25,e26'])
        self.assertEqual(self.days({'days': 2, 'each': {'sum': {'of': 'dwell', 'at_least': '40s'}}}, [1, 2, 3, 25, 26]), ['e1,e2,e25,e26'])
        self.assertEqual(self.days({'days': 1}, [1, 2, 4, 5], {'cooldown': '3 hours'}), ['e1', 'e2,e4'])

    def test_weekdays(self):
        friday, saturday, monday = 4 * 24 + 1, 5 * 24 + 1, 7 * 24 + 1
        self.assertEqual(self.days({'days': 2, 'weekdays': True}, [friday, saturday, monday]), ['e%g,e%g' % (friday, monday)])
        self.assertEqual(self.days({'days': 2}, [friday, monday]), [])

    def test_per_episode(self):
        self.assertEqual(self.days({'days': 2}, [1, 25, 49, 97, 121], {'once': 'per_episode'}), ['e1,e25', 'e97,e121'])
        # the first event of the third day is not enough of a day, but the episode goes on
        self.assertEqual(self.days({'days': 2, 'each': {'count': 2}}, [1, 2, 25, 26, 49, 50, 121, 122, 145, 146], {'once': 'per_episode'}),
                         ['e1,e2,e25,e26', 'e121,e122,e145,e146'])


class Sequences(unittest.TestCase):
    def test_relaxed_strict_any(self):
        self.assertEqual(run({'sequence': steps('a b')}, 'a0 c1 b2 b3'), ['e01,e03'])
        strict = {'steps': [{'when': {'kind': 'a'}}, {'when': {'kind': 'b'}, 'contiguity': 'strict'}], 'within': '1 day'}
        self.assertEqual(run({'sequence': strict}, 'a0 c1 b2 a3 b4'), ['e04,e05'])
        self.assertEqual(run({'sequence': strict, 'when': {'kind': ['a', 'b']}}, 'a0 c1 b2'), ['e01,e03'])
        any_of = {'steps': [{'when': {'kind': 'a'}}, {'when': {'kind': 'b'}, 'contiguity': 'any'}, {'when': {'kind': 'c'}, 'contiguity': 'strict'}],
                  'within': '1 day'}
        self.assertEqual(run({'sequence': any_of}, 'a0 b1 b2 c3'), ['e01,e03,e04'])
        any_of['steps'][1]['contiguity'] = 'relaxed'
        self.assertEqual(run({'sequence': any_of}, 'a0 b1 b2 c3'), [])

    def test_latest_chain(self):
        self.assertEqual(run({'sequence': steps('a b')}, 'a0 a1 b2'), ['e02,e03'])
        self.assertEqual(run({'sequence': steps('a b c')}, 'a0 a1 b2 a3 c4'), ['e02,e03,e05'])

    def test_past_last_and_to_next(self):
        self.assertEqual(run({'sequence': steps('a b')}, 'a0 b1 b2 a3 b4'), ['e01,e02', 'e04,e05'])
        twice = {'steps': [{'when': {'kind': 'a'}, 'times': 2}], 'within': '1 day'}
        self.assertEqual(run({'sequence': twice}, 'a0 a1 a2 a3'), ['e01,e02', 'e03,e04'])
        self.assertEqual(run({'sequence': {**twice, 'skip': 'to_next'}}, 'a0 a1 a2 a3'), ['e01,e02', 'e02,e03', 'e03,e04'])

    def test_times_and_optional(self):
        s = {'steps': [{'as': 'a', 'when': {'kind': 'a'}, 'times': {'at_least': 2, 'at_most': 3}}, {'when': {'kind': 'b'}}], 'within': '1 day'}
        self.assertEqual(run({'sequence': s}, 'a0 b1 a2 b3'), ['e01,e03,e04'])
        # of two with the same end, the longer
        self.assertEqual(run({'sequence': s}, 'a0 a1 a2 a3 b4'), ['e02,e03,e04,e05'])
        s = {'steps': [{'when': {'kind': 'a'}}, {'when': {'kind': 'b'}, 'optional': True}, {'when': {'kind': 'c'}}], 'within': '1 day'}
        self.assertEqual(run({'sequence': s}, 'a0 c1 a2 b3 c4'), ['e01,e02', 'e03,e04,e05'])

    def test_gap_and_within(self):
        s = steps('a b', within='10 minutes')
        self.assertEqual(run({'sequence': s}, 'a0 b10'), [])
        self.assertEqual(run({'sequence': s}, 'a0 b9'), ['e01,e02'])
        s = steps('a b')
        s['steps'][1]['gap'] = '10 minutes'
        self.assertEqual(run({'sequence': s}, 'a0 b10'), ['e01,e02'])
        self.assertEqual(run({'sequence': s}, 'a0 b10.5'), [])
        s['steps'][1]['gap'] = {'at_least': '5 minutes', 'at_most': '10 minutes'}
        self.assertEqual(run({'sequence': s}, 'a0 b4.5 b6'), [])
        self.assertEqual(run({'sequence': s}, 'a0 b5'), ['e01,e02'])

    def test_same_and_where(self):
        s = steps('a b')
        s['steps'][1]['same'] = ['object']
        events = [event('e1', 0, kind='a', object='x'), event('e2', 1, kind='b', object='y'), event('e3', 2, kind='b', object='x')]
        self.assertEqual(run({'sequence': s}, events), ['e1,e3'])
        s = steps('a b')
        s['steps'][1]['where'] = {'dwell': {'gt': 'a.dwell'}}
        self.assertEqual(run({'sequence': s}, 'a0:30 b1 b2:30 b3:31'), ['e01,e04'])
        s['steps'][1]['where'] = {'object': {'ne': 'a.object'}}
        self.assertEqual(run({'sequence': s}, events), ['e1,e2'])

    def test_absent_between(self):
        s = {'steps': [{'when': {'kind': 'a'}}, {'absent': {'kind': 'x'}}, {'when': {'kind': 'b'}}], 'within': '1 day'}
        self.assertEqual(run({'sequence': s}, 'a0 x1 b2 a3 b4'), ['e04,e05'])
        s['steps'].insert(2, {'when': {'kind': 'c'}, 'optional': True})
        self.assertEqual(run({'sequence': s}, 'a0 c1 x2 b3'), ['e01,e02,e04'])
        self.assertEqual(run({'sequence': s}, 'a0 x1 c2 b3'), [])

    def test_absent_same(self):
        absent = {'absent': {'kind': 'x'}, 'same': ['object']}
        s = {'steps': [{'when': {'kind': 'a'}}, absent, {'when': {'kind': 'b'}}], 'within': '1 day'}
        events = lambda o: [event('e1', 0, kind='a', object='1'), event('e2', 1, kind='x', object=o), event('e3', 2, kind='b')]
        self.assertEqual(run({'sequence': s}, events('2')), ['e1,e3'])
        self.assertEqual(run({'sequence': s}, events('1')), [])
        silence = {'steps': [{'when': {'kind': 'a'}}, {**absent, 'for': '5 minutes'}]}
        self.assertEqual(run({'sequence': silence}, events('2')), ['e1@5'])
        self.assertEqual(run({'sequence': silence}, events('1')), [])

    def test_until(self):
        self.assertEqual(run({'sequence': steps('a b', until={'kind': 'x'})}, 'a0 x1 b2 a3 b4'), ['e04,e05'])
        self.assertEqual(run({'sequence': steps('a b', until={'kind': 'b'})}, 'a0 b1'), [])
        self.assertEqual(run({'sequence': steps('a b', until={'kind': 'a'})}, 'a0 a1 b2'), ['e02,e03'])

    def test_silence(self):
        s = {'steps': [{'when': {'kind': 'a'}}, {'absent': {'kind': 'b'}, 'for': '10 minutes'}]}
        rule = {'sequence': s}
        self.assertEqual(run(rule, 'a0'), ['e01@10'])
        self.assertEqual(run(rule, 'a0', now=10 * MINUTE), ['e01@10'])
        self.assertEqual(run(rule, 'a0', now=10 * MINUTE - 1), [])
        self.assertEqual(run(rule, 'a0 b10'), [])
        self.assertEqual(run(rule, 'a0 b10.5'), ['e01@10'])
        # up to and including the instant all is spent
        self.assertEqual(run(rule, 'a0 a10 a11'), ['e01@10', 'e03@21'])
        self.assertEqual(run({'sequence': {**s, 'skip': 'to_next'}}, 'a0 a10 a11'), ['e01@10', 'e02@20', 'e03@21'])
        self.assertEqual(run({'sequence': {**s, 'skip': 'to_next'}, 'cooldown': '11 minutes'}, 'a0 a10 a11'), ['e01@10', 'e03@21'])
        self.assertEqual(run({'sequence': {**s, 'until': {'kind': 'u'}}}, 'a0 u10 a20'), ['e03@30'])
        self.assertEqual(run(rule, 'a0 a0'), ['e02@10'])

    def test_cooldown_drops_chains(self):
        rule = {'sequence': steps('a b'), 'cooldown': '5 minutes'}
        self.assertEqual(run(rule, 'a0 b1 a2 b3 b6 a6 b7'), ['e01,e02', 'e06,e07'])

    def test_once_until(self):
        rule = {'sequence': steps('a b'), 'once': {'until': {'kind': 'x'}}}
        self.assertEqual(run(rule, 'a0 b1 a2 b3 a4 x5 b6'), ['e01,e02', 'e05,e07'])

    def test_dodged_delivery(self):
        rule = {'per': 'account', 'sequence': {
            'steps': [{'as': 'raised', 'when': {'side': 'customer', 'intent': 'delivery'}},
                      {'as': 'follow_up', 'times': 3, 'when': {'side': 'rep', 'not': {'intent': 'delivery'}}}],
            'until': {'side': 'rep', 'intent': 'delivery'}, 'within': '30 days'},
            'once': {'until': {'side': 'rep', 'intent': 'delivery'}}}
        delivery = {'intents': ['delivery']}
        ask = lambda n, at: event(n, at * DAY, account='x', properties=delivery)
        dodge = lambda n, at: event(n, at * DAY, account='x', side='rep')
        answer = lambda n, at: event(n, at * DAY, account='x', side='rep', properties=delivery)
        self.assertEqual(run(rule, [ask('1', 0), dodge('2', 1), dodge('3', 2), answer('4', 3), dodge('5', 4)]), [])
        self.assertEqual(run(rule, [ask('1', 0), dodge('2', 1), dodge('3', 2), dodge('4', 3), ask('5', 4), dodge('6', 5), dodge('7', 6), dodge('8', 7),
                                    answer('9', 8), ask('A', 9), dodge('B', 10), dodge('C', 11), dodge('D', 12)]), ['1,2,3,4', 'A,B,C,D'])


class Strength(unittest.TestCase):
    def test_formulas(self):
        two = {'count': {'at_least': 2, 'within': '1 hour'}}
        self.assertEqual(strength('count / 4', two, 'a0 a1'), [0.5])
        self.assertEqual(strength('1 - 2 * 0.25 - 0.25', two, 'a0 a1'), [0.25])
        self.assertEqual(strength('span / 120 + dwell / 60', two, 'a0 a1:15'), [0.75])
        self.assertEqual(strength('properties.x + 3', two, 'a0 a1'), [1])
        self.assertEqual(strength('0 - count', two, 'a0 a1'), [0])
        self.assertEqual(strength('1 / 0 + 0.5', two, 'a0 a1'), [0])
        self.assertEqual(strength('properties.x / 0', two, 'a0 a1'), [0])
        self.assertEqual(strength('ln(0) + sqrt(0 - 1) + exp(10000)', two, 'a0 a1'), [0])
        self.assertEqual(strength('min(0.5, max(sqrt(0.04), 0.1))', two, 'a0 a1'), [0.2])
        self.assertEqual(strength('sum / 80 + distinct / 8', {'sum': {'of': 'dwell', 'at_least': '30s', 'within': '1 hour'},
                                                                'distinct': {'of': 'kind', 'at_least': 2, 'within': '1 hour'}}, 'a0:10 b1:30'), [0.625])

    def test_steps(self):
        rule = {'sequence': {'steps': [{'as': 'a', 'when': {'kind': 'a'}, 'times': {'at_least': 1, 'at_most': 3}}, {'as': 'b', 'when': {'kind': 'b'}}],
                             'within': '1 day'}}
        self.assertEqual(strength('a.count / 10 + a.dwell / 100 + b.properties.x', rule, 'a0:10 a1:20 b2:40'), [0.4])


if __name__ == '__main__':
    unittest.main()

"""Holds the engine to the oracle: random rules and streams, in several ways of arrival, each in a database of its own.

  compare.py start DIR [--seed N --rounds N --rules N --streams N --ways a,b]    all ways, up to where the server is to restart
  compare.py finish DIR                                                         the rest, after the restart
  compare.py one FILE                                                           the case that a failure printed, or a list of them

The server is the one of the environment (PGHOST, PGPORT). Prints a line "way cases moments failures" for each way, and what failed,
made small. REVOPS_ORACLE_SHRINK=0: not made small.
"""
import argparse
import collections
import json
import os
import re
import subprocess
import sys
import time

import oracle
import random_rules

WAYS = ('batch', 'live', 'late', 'shuffled', 'lanes', 'identify', 'restart', 'backtest')
COLUMNS = ('event_id', 'occurred_at', 'person', 'account', 'opportunity', 'rep', 'side', 'channel', 'kind', 'object', 'dwell', 'body', 'properties')
TEMPLATE = 'oracle_template'


class Refused(Exception):
    """The server refused something."""


def psql(database, script):
    run = subprocess.run(['psql', '-X', '-q', '-A', '-t', '-F', '\t', '-v', 'ON_ERROR_STOP=1', '-d', database, '-f', '-'], input=script,
                         capture_output=True, text=True, env={**os.environ, 'PGOPTIONS': '-c client_min_messages=warning'})
    if run.returncode != 0:
        raise Refused(run.stderr.strip())
    return run.stdout


def literal(value):
    if value is None:
        return 'NULL'
    return "'" + str(value).replace("'", "''") + "'"


def document(value):
    return literal(None if value is None else json.dumps(value))


def instant(seconds):
    return "timestamptz 'epoch' + interval '%d seconds'" % seconds


def insert(table, columns, rows):
    return 'INSERT INTO revops.%s (%s) VALUES %s;\n' % (table, ', '.join(columns), ', '.join('(%s)' % ', '.join(r) for r in rows)) if rows else ''


def insert_events(events):
    write = {'occurred_at': instant, 'properties': document, 'dwell': lambda s: 'NULL' if s is None else "interval '%d seconds'" % s}
    return insert('event', COLUMNS, [[write.get(c, literal)(e[c]) for c in COLUMNS] for e in events])


def as_of(seconds):
    return "SET revops.as_of = '%s+00';\n" % time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(seconds))


def name_of(n):
    return 'r%04d' % n


def configuration(made, tolerant=False):
    """Rules and attributes; if tolerant, without the rules that are refused."""
    script = as_of(made['end'])
    for n, rule in enumerate(made['rules']):
        put = 'revops.put_rule(%s, %s)' % (literal(name_of(n)), document(rule))
        script += ('DO $do$ BEGIN PERFORM %s; EXCEPTION WHEN OTHERS THEN NULL; END $do$;\n' if tolerant else 'SELECT %s \\g /dev/null\n') % put
    for stream in made['streams']:
        script += insert('rep', ('rep', 'name'), [[literal(r), literal(r)] for r in stream['reps']])
        for table, columns in (('account', ('owner', 'segment', 'time_zone', 'properties')),
                               ('person', ('identity', 'account', 'title', 'time_zone', 'properties')),
                               ('opportunity', ('account', 'stage', 'status', 'amount', 'properties'))):
            script += insert(table, (table,) + columns,
                             [[literal(key)] + [document(row.get(c) or {}) if c == 'properties' else literal(row.get(c)) for c in columns]
                              for key, row in stream[{'opportunity': 'opportunities'}.get(table, table + 's')].items()])
    return script


# How events arrive. Each way is a list of scripts, with a restart of the server between them; it depends on the events' own numbers
# (shuffle, delay, cut), so that a smaller stream arrives in the same way.

def groups(events, cut):
    result = []
    for e in events:
        if not result or e['cut'] < cut:
            result.append([])
        result[-1].append(e)
    return result


def arriving(events, arrival):
    """Events as they come, a few at a time, with the clock at the last one's arrival, and idle passes between."""
    script, clock = '', None
    for group in groups(sorted(events, key=lambda e: (arrival(e), e['occurred_at'], e['event_id'])), 0.6):
        first, last = arrival(group[0]), arrival(group[-1])
        if clock is not None and first > clock and group[0]['cut'] < 0.3:
            script += as_of(clock + int((first - clock) * group[0]['cut'] / 0.3)) + 'SELECT revops.process() \\g /dev/null\n'
        clock = last
        script += as_of(clock) + insert_events(group) + 'SELECT revops.process() \\g /dev/null\n'
    return script


def identified(made):
    """Half of the events come before it is known who the visitors are."""
    script = 'UPDATE revops.person SET identity = NULL WHERE identity IS NOT NULL;\n'
    known = ''
    for stream in made['streams']:
        for key, row in stream['persons'].items():
            if row.get('identity'):
                known += 'SELECT revops.identify(%s, %s) \\g /dev/null\n' % (literal(key), literal(row['identity']))
    events = [e for s in made['streams'] for e in s['events']]
    return (script + arriving([e for e in events if e['shuffle'] < 0.5], lambda e: e['occurred_at']) + known +
            arriving([e for e in events if e['shuffle'] >= 0.5], lambda e: min(e['occurred_at'] + e['delay'], made['end'])))


def shuffled(events, end):
    script = as_of(end)
    for group in groups(sorted(events, key=lambda e: e['shuffle']), 0.15):
        script += ''.join(insert_events([e]) for e in group) + 'SELECT revops.process(%d) \\g /dev/null\n' % (1 + int(group[0]['cut'] * 60))
    return script


def scripts(way, made):
    events = [e for s in made['streams'] for e in s['events']]
    end = as_of(made['end']) + 'SELECT revops.process() \\g /dev/null\n'
    if way == 'live':
        return [arriving(events, lambda e: e['occurred_at']) + end]
    if way == 'late':
        return [arriving(events, lambda e: min(e['occurred_at'] + e['delay'], made['end'])) + end]
    if way == 'shuffled':
        return [shuffled(events, made['end']) + insert_events(events) + end]     # sent again, they do not exist twice
    if way == 'lanes':
        return ['SELECT revops.set_lanes(3) \\g /dev/null\n' + arriving(events, lambda e: min(e['occurred_at'] + e['delay'], made['end'])) +
                'SELECT revops.set_lanes(2) \\g /dev/null\n' + end]
    if way == 'identify':
        return [identified(made) + end]
    if way == 'restart':
        late = sorted(events, key=lambda e: e['occurred_at'] + e['delay'])
        half = late[:len(late) // 2]
        rest = late[len(late) // 2:]
        return [arriving(half, lambda e: min(e['occurred_at'] + e['delay'], made['end'])) + as_of(made['end']) + insert_events(rest[:len(rest) // 2]) +
                'SELECT revops.process(%d) \\g /dev/null\n' % (1 + len(rest) // 4), as_of(made['end']) + insert_events(rest[len(rest) // 2:]) + end]
    return [as_of(made['end']) + insert_events(sorted(events, key=lambda e: e['shuffle'])) + end]


def session(made):
    script = 'SELECT revops.now() \\g /dev/null\n' + 'SET revops.time_zone = %s;\n' % literal(made['time_zone'])
    if 'allowed_lateness' in features():
        script += "SET revops.allowed_lateness = '1000d';\n"
    return script


# What the engine found: {(number of the rule, mark of the stream): [(kind, subject, occurred_at, evidence, strength, by_timer)]}

def found(database, made, way):
    if way == 'backtest':
        since = min([made['end']] + [e['occurred_at'] for s in made['streams'] for e in s['events']]) - 1
        source = '''(SELECT m.rule, b.subject_kind, b.subject, b.occurred_at, b.evidence, b.strength%s FROM revops.moment_rule m,
            LATERAL revops.backtest(m.definition, %s, %s) b) x''' % (
            ', b.by_timer' if 'backtest.by_timer' in features() else '', instant(since), instant(made['end'] + 1))
        timer = 'by_timer' if 'backtest.by_timer' in features() else 'NULL'
    else:
        source = '(SELECT * FROM revops.moment WHERE retracted_at IS NULL) x'
        timer = 'by_timer' if 'moment.by_timer' in features() else 'NULL'
    rows = psql(database, session(made) + as_of(made['end']) + '''SELECT rule, subject_kind, subject, extract(epoch FROM occurred_at),
        array_to_string(evidence, ','), strength, %s FROM %s;\n''' % (timer, source))
    result = collections.defaultdict(list)
    for line in rows.splitlines():
        rule, kind, subject, at, evidence, strength, by_timer = line.split('\t')
        result[int(rule[1:]), int(subject.split('@')[1])].append(
            (kind, subject, float(at), evidence.split(','), float(strength), {'t': True, 'f': False}.get(by_timer)))
    return result


def expected(made):
    result = {}
    for n, rule in enumerate(made['rules']):
        for mark, stream in marked(made):
            try:
                result[n, mark] = oracle.moments(rule, stream['events'], made['end'], random_rules.world_of(made, stream))
            except oracle.TooMany:
                pass
    return result


def marked(made):
    for stream in made['streams']:
        yield int(stream['reps'][0].split('@')[1]), stream


def same(wanted, got):
    """Whether the engine's moments are the oracle's."""
    if len(wanted) != len(got):
        return False
    for w, g in zip(wanted, sorted(got, key=lambda g: (g[1], g[2], g[5] or False, g[3][-1]))):
        if (w.subject_kind, w.subject, float(w.occurred_at), w.evidence) != g[:4] or g[5] not in (None, w.by_timer):
            return False
        if all(abs(s - g[4]) > 1e-9 for s in w.strengths):
            return False
    return True


# Databases

_features = None


def features():
    """What of the newer parts this server has."""
    global _features
    if _features is None:
        _features = set(psql(TEMPLATE, '''
            SELECT revops.now() \\g /dev/null
            SELECT 'moment.by_timer' FROM pg_attribute WHERE attrelid = 'revops.moment'::regclass AND attname = 'by_timer' AND NOT attisdropped;
            SELECT 'backtest' FROM pg_proc WHERE proname = 'backtest' AND pronamespace = 'revops'::regnamespace;
            SELECT 'backtest.by_timer' FROM pg_proc WHERE proname = 'backtest' AND pronamespace = 'revops'::regnamespace AND 'by_timer' = ANY (proargnames);
            SELECT 'allowed_lateness' FROM pg_settings WHERE name = 'revops.allowed_lateness';''').split())
    return _features


def make_template():
    if not psql('postgres', "SELECT 1 FROM pg_database WHERE datname = '%s'" % TEMPLATE):
        psql('postgres', 'CREATE DATABASE %s' % TEMPLATE)
        psql(TEMPLATE, 'CREATE EXTENSION pg_revops')
    for body in random_rules.BODIES:
        oracle.FEELINGS[body] = float(psql(TEMPLATE, 'SELECT round(revops.sentiment(%s)::numeric, 4)' % literal(body)))


def make(database, template):
    psql('postgres', 'DROP DATABASE IF EXISTS %s' % database)
    psql('postgres', 'CREATE DATABASE %s TEMPLATE %s' % (database, template))


def drop(database):
    psql('postgres', 'DROP DATABASE IF EXISTS %s' % database)


def run(database, made, way):
    """All of a way at once, with no restart."""
    for script in scripts(way, made):
        psql(database, session(made) + script)
    return found(database, made, way)


# Failures, made small

def alone(case, number):
    """A case's stream under another mark, so that many share a database."""
    text = re.sub(r'@%d"' % case['mark'], '@%d"' % number, json.dumps(case['stream']))
    stream = json.loads(text)
    for e in stream['events']:
        e['event_id'] = e['event_id'][:24] + '%012x' % number
    return stream


def failing(cases):
    """For each case, (stream, expected, found) if the engine differs from the oracle, else None. All cases are of one round and way."""
    made = {**cases[0], 'rules': [c['rule'] for c in cases], 'streams': [alone(c, n) for n, c in enumerate(cases, 1)]}
    way = cases[0]['way']
    make('oracle_one', TEMPLATE)
    psql('oracle_one', session(made) + configuration(made, tolerant=True))
    accepted = {int(r[1:]) for r in psql('oracle_one', 'SELECT rule FROM revops.moment_rule').split()}
    got = run('oracle_one', made, way)
    result = []
    for n, (case, stream) in enumerate(zip(cases, made['streams'])):
        wrong = None
        try:
            wanted = oracle.moments(case['rule'], stream['events'], case['end'], random_rules.world_of(made, stream))
            if n in accepted and not same(wanted, got.get((n, n + 1), [])):
                wrong = stream, wanted, got.get((n, n + 1), [])
        except (oracle.TooMany, KeyError, TypeError, ValueError, AttributeError, IndexError, AssertionError):
            pass        # not a rule at all
        result.append(wrong)
    return result


def smaller(value):
    """The value with one key or element left out, at any depth."""
    if isinstance(value, dict):
        for k in value:
            yield {x: y for x, y in value.items() if x != k}
        for k in value:
            for v in smaller(value[k]):
                yield {**value, k: v}
    elif isinstance(value, list) and value and not isinstance(value[0], str):
        for i in range(len(value)):
            yield value[:i] + value[i + 1:]
        for i in range(len(value)):
            for v in smaller(value[i]):
                yield value[:i] + [v] + value[i + 1:]


def without_events(case):
    events = case['stream']['events']
    return [{**case, 'stream': {**case['stream'], 'events': events[:i] + events[i + 1:]}} for i in range(len(events))] if len(events) > 1 else []


def simpler(case):
    events = case['stream']['events']
    result = [{**case, 'rule': rule} for rule in smaller(case['rule'])]
    for table in ('persons', 'accounts', 'opportunities'):
        for key in case['stream'][table]:
            result.append({**case, 'stream': {**case['stream'], table: {k: v for k, v in case['stream'][table].items() if k != key}}})
    for i, event in enumerate(events):
        for field in ('account', 'opportunity', 'rep', 'object', 'dwell', 'body', 'properties'):
            if event[field] is not None:
                result.append({**case, 'stream': {**case['stream'], 'events': events[:i] + [{**event, field: None}] + events[i + 1:]}})
    return result


def shrink(case, seconds=30):
    """The smallest case that was found to fail in that time, or None if the case does not fail alone."""
    deadline = time.time() + seconds
    if os.environ.get('REVOPS_ORACLE_SHRINK') == '0' or not failing([case])[0]:
        return None
    for step in (without_events, simpler, without_events):
        while time.time() < deadline:
            cases = step(case)[:150]
            smaller_ones = [c for c, wrong in zip(cases, failing(cases)) if wrong] if cases else []
            if not smaller_ones:
                break
            case = smaller_ones[0]
    return case


def show(case, wanted, got):
    def brief(evidence):
        return [number.get(e, e) for e in evidence]
    number = {e['event_id']: 'e%d' % n for n, e in enumerate(case['stream']['events'], 1)}
    stamp = lambda s: time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(s))
    print('  rule:     ' + json.dumps(case['rule']))
    for e in case['stream']['events']:
        fields = ' '.join('%s=%s' % (c, json.dumps(e[c])) for c in COLUMNS[2:] if e[c] is not None)
        print('  %-9s %s %s %s' % (number[e['event_id']] + ':', stamp(e['occurred_at']), e['event_id'][:4], fields))
    for table in ('persons', 'accounts', 'opportunities'):
        if case['stream'][table]:
            print('  %s: %s' % (table, json.dumps(case['stream'][table])))
    print('  now:      %s, time zone %s' % (stamp(case['end']), case['time_zone']))
    for w in wanted:
        print('  expected: %s %s %s %s strength %s%s' % (w.subject_kind, w.subject, stamp(w.occurred_at), brief(w.evidence),
                                                         ' or '.join(map(str, w.strengths)), ' by timer' if w.by_timer else ''))
    for g in sorted(got, key=str):
        print('  found:    ' + (g if isinstance(g, str) else '%s %s %s %s strength %s%s' % (
            g[0], g[1], stamp(g[2]), brief(g[3]), g[4], ' by timer' if g[5] else '')))
    if not wanted:
        print('  expected: nothing')
    if not got:
        print('  found:    nothing')


def report(case, wanted, got):
    print('FAILED in way %s: seed %s, round %s, rule %s, stream %s' % (case['way'], case['seed'], case['number'], case['n'], case['mark']))
    small = shrink(case)
    wrong = small and failing([small])[0]
    if wrong:
        case = {**small, 'stream': wrong[0], 'mark': 1}
        wanted, got = wrong[1:]
    else:
        print('  (not made small: it needs the other rules or streams of its round, or REVOPS_ORACLE_SHRINK is 0)')
    show(case, wanted, got)
    print('  case:     ' + json.dumps(case), flush=True)


def check(database, made, way, wanted, state):
    got = found(database, made, way)
    # where a state was full, the engine says so; a backtest has no counts, and leaves out what the batch did
    full = {int(r[1:]) for r in psql(database, 'SELECT rule FROM revops.rule_status WHERE capped > 0').split()}
    known = state.setdefault('full', {}).setdefault(str(made['number']), [])
    known += sorted(full - set(known))
    count = state['results'].setdefault(way, [0, 0, 0])
    for (n, mark), moments in wanted.items():
        # what an opportunity's or a rep's rule reads of a person is what was known when the event passed
        if way == 'identify' and made['rules'][n].get('per', 'person') not in ('person', 'account'):
            continue
        count[0] += 1
        count[1] += len(moments)
        if same(moments, got.get((n, mark), [])) or n in known:
            continue
        count[2] += 1
        shown = state['shown']      # one of each rule, and no more than asked for of each way
        if shown.count(way) < state['show'] and [made['number'], n] not in shown:
            shown += [way, [made['number'], n]]
            case = {k: made[k] for k in ('seed', 'number', 'grid', 'time_zone', 'end')}
            case.update(way=way, n=n, mark=mark, rule=made['rules'][n], stream=dict(marked(made))[mark])
            report(case, moments, got.get((n, mark), []))
    failed = psql(database, "SELECT error, count(*) FROM revops.failed_event GROUP BY 1")
    if failed:
        count[2] += 1
        print('%s, seed %s, round %s: in quarantine: %s' % (way, made['seed'], made['number'], failed))


def start(a):
    state = {'dir': a.dir, 'results': {}, 'shown': [], 'show': a.show, 'rounds': [], 'a': vars(a)}
    print('seed %s' % a.seed, flush=True)
    make_template()
    ways = [w for w in a.ways.split(',') if w != 'backtest' or 'backtest' in features()]
    for number in range(a.first, a.first + a.rounds):
        made = random_rules.make_round(a.seed, number, a.rules, a.streams, a.parts.split(','), a.events)
        base = 'oracle_base_%d' % number
        make(base, TEMPLATE)
        if a.accepted:
            made['rules'] = [r for r in made['rules'] if accepted(r)]
        psql(base, session(made) + configuration(made))
        wanted = expected(made)
        for way in ways:
            database = 'oracle_%s_%d' % (way, number)
            make(database, base)
            parts = scripts(way, made)
            psql(database, session(made) + parts[0])
            if len(parts) > 1:
                continue
            check(database, made, way, wanted, state)
            drop(database)
        drop(base)
        state['rounds'].append(number)
    state['ways'] = ways
    with open(os.path.join(a.dir, 'state.json'), 'w') as f:
        json.dump(state, f)
    if 'restart' not in ways:
        summary(state)
    return state


def finish(directory):
    with open(os.path.join(directory, 'state.json')) as f:
        state = json.load(f)
    a = argparse.Namespace(**state['a'])
    make_template()
    for number in state['rounds'] if 'restart' in state['ways'] else []:
        made = random_rules.make_round(a.seed, number, a.rules, a.streams, a.parts.split(','), a.events)
        if a.accepted:
            made['rules'] = [r for r in made['rules'] if accepted(r)]
        database = 'oracle_restart_%d' % number
        psql(database, session(made) + scripts('restart', made)[1])
        check(database, made, 'restart', expected(made), state)
        drop(database)
    return state


def accepted(rule):
    try:
        psql(TEMPLATE, 'SELECT revops.check_rule(%s)' % document(rule))
        return True
    except Refused as e:
        print('refused: ' + re.sub(r'.*ERROR:  |line.*column \d+: ', '', str(e).splitlines()[0])[:100])
        return False


def summary(state):
    for way, (cases, moments, failures) in state['results'].items():
        print('%s %d %d %d' % (way, cases, moments, failures))
    return 1 if any(r[2] for r in state['results'].values()) else 0


def main():
    p = argparse.ArgumentParser(description='Holds the engine to the oracle')
    p.add_argument('command', choices=('start', 'finish', 'one'))
    p.add_argument('dir')
    p.add_argument('--seed', type=int, default=int(time.time()))
    p.add_argument('--first', type=int, default=0, help='number of the first round')
    p.add_argument('--rounds', type=int, default=3)
    p.add_argument('--rules', type=int, default=60)
    p.add_argument('--streams', type=int, default=12)
    p.add_argument('--events', type=int, default=14, help='of a stream, at most')
    p.add_argument('--ways', default=','.join(WAYS))
    p.add_argument('--parts', default=','.join(random_rules.PARTS), help='each, windows, streak, sequence')
    p.add_argument('--show', type=int, default=2, help='failures to show of each way')
    p.add_argument('--accepted', action='store_true', help='leave out rules that the server does not accept')
    a = p.parse_args()
    if a.command == 'one':
        make_template()
        with open(a.dir) as f:
            failed = 0
            for line in f:
                if line.strip().startswith(('case:', '{')):
                    case = json.loads(line[line.index('{'):])
                    wrong = failing([case])[0]
                    failed += wrong is not None
                    print('still fails' if wrong else 'passes')
                    if wrong:
                        show({**case, 'stream': wrong[0]}, *wrong[1:])
        return 1 if failed else 0
    state = start(a) if a.command == 'start' else finish(a.dir)
    if a.command == 'finish' or 'restart' not in state['ways']:
        return summary(state) if a.command == 'finish' else 0
    return 0


if __name__ == '__main__':
    sys.exit(main())

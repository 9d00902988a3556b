import { expect, it } from 'vitest'
import { planJob, registrationOf } from '../../../src/engine/planning/plan-job.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import type { JobDefinition } from '../../../src/job/spec.ts'
import { storeOn } from '../../../src/store/store.ts'
import { describeEachStore } from '../../support/databases.ts'
import { Minutes, type Rule } from '../../time/reference.ts'

// A year of 120 jobs whose planner is stopped at random for minutes to days. A separate reference says what the database must contain:
// ticks from `test/time/reference.ts`, policies as in docs/schedules.md and docs/jobs.md.

const JOBS = 120
const SEED = Number(process.env['PIKO_TIME_SEED'] ?? 7)
const QUARTER_MS = 15 * 60_000
const HOUR_MS = 4 * QUARTER_MS
const DAY_MS = 24 * HOUR_MS
const FROM = Date.UTC(2026, 0, 1)
const TO = Date.UTC(2027, 0, 1)
const ZONES = ['UTC', 'Europe/Rome', 'America/New_York', 'Australia/Lord_Howe', 'America/Santiago']

const CRONS: readonly (readonly [cron: string, matches: (local: Date) => boolean, isHourWild: boolean])[] = [
  ['0 * * * *', (t) => t.getUTCMinutes() === 0, true],
  ['30 */6 * * *', (t) => t.getUTCMinutes() === 30 && t.getUTCHours() % 6 === 0, true],
  ['30 2 * * *', (t) => t.getUTCMinutes() === 30 && t.getUTCHours() === 2, false],
  ['30 1 * * *', (t) => t.getUTCMinutes() === 30 && t.getUTCHours() === 1, false],
  ['0 0 * * *', (t) => t.getUTCMinutes() === 0 && t.getUTCHours() === 0, false],
  ['45 0,2 * * MON', (t) => t.getUTCMinutes() === 45 && [0, 2].includes(t.getUTCHours()) && t.getUTCDay() === 1, false],
  ['15 3 1 * *', (t) => t.getUTCMinutes() === 15 && t.getUTCHours() === 3 && t.getUTCDate() === 1, false],
]
const RULES: readonly (Rule | 'auto')[] = [
  'auto',
  { gap: 'skip', overlap: 'first' },
  { gap: 'after', overlap: 'both' },
  { gap: 'after', overlap: 'second' },
]

/** A small seeded generator (mulberry32), for the same year on every machine. */
function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

interface Planned {
  readonly job: JobDefinition
  /** All ticks of its schedule, from well before the year on. */
  readonly ticks: readonly number[]
}

interface Pass {
  readonly now: number
  readonly until: number
}

const minutes = new Map<string, Minutes>()

function ticksIn(zone: string, matches: (local: Date) => boolean, rule: Rule): number[] {
  const known = minutes.get(zone) ?? new Minutes(zone, FROM - 10 * DAY_MS, TO + DAY_MS, DAY_MS, QUARTER_MS)
  minutes.set(zone, known)
  return [...known.ticks(matches, rule)].sort((a, b) => a - b)
}

function jobsOf(random: (below: number) => number): Planned[] {
  const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T
  return Array.from({ length: JOBS }, (_, index) => {
    const id = `job${index}`
    const zone = pick(ZONES)
    const policy = {
      misfireGraceTime: pick(['1m', '5m', '2h', '1d'] as const),
      ...pick([
        { misfire: 'skip' },
        { misfire: 'once' },
        { misfire: 'all' },
        { misfire: 'all', misfireLimit: 3 },
      ] as const),
      ...(random(3) === 0 && { jitter: '10m' as const }),
    }
    const hasWindows = random(3) === 0
    const windows = {
      start: new Date(FROM - random(9 * 96) * QUARTER_MS),
      ...(random(4) === 0 && { end: new Date(FROM + (20 + random(300)) * DAY_MS + random(96) * QUARTER_MS) }),
      catchUp: pick(['all', 'latest', 'none'] as const),
    }
    const kind = random(10)
    if (kind === 0) {
      const at = FROM - DAY_MS + random(360 * 96) * QUARTER_MS
      return { job: defineJob({ id, at: new Date(at), ...policy }, () => {}), ticks: [at] }
    }
    if (kind === 1) {
      const every = (random(40) + 8) * QUARTER_MS
      const anchor = hasWindows ? windows.start.getTime() : 0
      const first = anchor + Math.ceil((FROM - 10 * DAY_MS - anchor) / every) * every
      const ticks = Array.from({ length: Math.ceil((TO + DAY_MS - first) / every) }, (_, step) => first + step * every)
      const spec = { id, every: `${every}ms` as const, ...policy, ...(hasWindows && { windows }) }
      return { job: defineJob(spec, () => {}), ticks }
    }
    const crons =
      random(4) === 0 ? [pick(CRONS.slice(2)), pick(CRONS.slice(2))] : [index < 6 ? CRONS[0]! : pick(CRONS.slice(1))]
    const dst = pick(RULES)
    const all = new Set(
      crons.flatMap(([, matches, isHourWild]) => {
        const auto: Rule = isHourWild ? { gap: 'skip', overlap: 'both' } : { gap: 'after', overlap: 'first' }
        return ticksIn(zone, matches, dst === 'auto' ? auto : dst)
      }),
    )
    const start = random(5) === 0 ? FROM + random(100) * DAY_MS : -Infinity
    const end = random(5) === 0 ? FROM + (150 + random(200)) * DAY_MS : Infinity
    const spec = {
      ...{ id, cron: crons.map(([text]) => text), timezone: zone, dst, ...policy },
      ...(start !== -Infinity && { start: new Date(start) }),
      ...(end !== Infinity && { end: new Date(end) }),
      ...(hasWindows && { windows }),
    }
    const ticks = [...all].filter((tick) => tick >= start && tick <= end).sort((a, b) => a - b)
    return { job: defineJob(spec, () => {}), ticks }
  })
}

/** The times at which the planner looks: every few minutes or hours, and sometimes not for days. */
function passesOf(random: (below: number) => number): Pass[] {
  const passes: Pass[] = []
  for (let now = FROM; now < TO;) {
    passes.push({ now, until: now + random(120_000) })
    const pause = random(10)
    const span = pause < 5 ? 90 * 60_000 : pause < 9 ? 12 * HOUR_MS : 6 * DAY_MS
    now += 1_000 + random(span)
  }
  passes.push({ now: TO, until: TO })
  return passes
}

/** The expected result of each tick, or of each window by its end. */
function promised({ job, ticks }: Planned, passes: readonly Pass[]): Map<number, string> {
  return job.policy.windows ? promisedWindows(job, ticks, passes) : promisedTicks(job, ticks, passes)
}

function promisedTicks(job: JobDefinition, ticks: readonly number[], passes: readonly Pass[]): Map<number, string> {
  const grace = job.policy.misfireGraceMs
  const keep = { skip: 0, once: 1, all: job.spec.misfireLimit ?? 100 }[job.spec.misfire ?? 'skip']
  const expected = new Map<number, string>()
  // A job is planned from its registration on. A single instant fires even if it is earlier.
  let left = job.spec.at === undefined ? ticks.filter((tick) => tick > FROM) : ticks
  for (const { now, until } of passes) {
    const come = left.filter((tick) => tick <= until)
    left = left.slice(come.length)
    const late = come.filter((tick) => now - tick > grace)
    const caughtUp = new Set(keep > 0 ? late.slice(-keep) : [])
    for (const tick of come) expected.set(tick, late.includes(tick) && !caughtUp.has(tick) ? 'misfire' : 'run')
  }
  return expected
}

function promisedWindows(job: JobDefinition, ticks: readonly number[], passes: readonly Pass[]): Map<number, string> {
  const { start, end, catchUp } = job.policy.windows!
  const last = end?.getTime() ?? Infinity
  const ends = ticks.filter((tick) => tick > start.getTime() && tick < last)
  if (end) ends.push(last)
  const over = (now: number): number | undefined => ends.findLast((one) => one <= now)
  // A ledger without full catch-up begins at the last complete window.
  const first = over(FROM)
  let left = ends.filter(
    (one) => catchUp === 'all' || first === undefined || (catchUp === 'latest' ? one >= first : one > first),
  )
  const expected = new Map<number, string>()
  for (const { now, until } of passes) {
    const come = left.filter((one) => one <= until)
    left = left.slice(come.length)
    const latest = over(now) ?? -Infinity
    for (const one of come) {
      const isSkipped =
        catchUp === 'latest' ? one < latest : catchUp === 'none' && now - one > job.policy.misfireGraceMs
      expected.set(one, isSkipped ? 'skipped' : 'run')
    }
  }
  return expected
}

const random = randomOf(SEED)
const planned = jobsOf(random)
const passes = passesOf(random)

describeEachStore((fixture) => {
  it(`a year of ${JOBS} jobs, with a planner that stops at random: exactly the ticks that each policy promises`, async () => {
    const database = await fixture.open()
    await fixture.empty()
    const { dialect, sql } = database
    const store = storeOn(database)
    const jobs = new Map(planned.map(({ job }) => [job.id, job]))
    await store.jobs.register(planned.map(({ job }) => registrationOf(job, new Date(FROM))))
    for (const { now, until } of passes) {
      let written: number
      do {
        const result = await store.plans.plan(
          new Date(until),
          500,
          (due) => due.map((one) => planJob(jobs.get(one.id)!, one, new Date(now), new Date(until))),
          () => false,
        )
        written = result.written.reduce((sum, { runs, skippedWindows }) => sum + runs.length + skippedWindows.length, 0)
      } while (written > 0)
      // The windows are settled, so that others may be planned.
      await sql.exec(`UPDATE piko_window SET state = 'succeeded' WHERE state = 'pending'`)
    }
    const texts = (map: ReadonlyMap<number, string>) =>
      [...map].sort(([a], [b]) => a - b).map(([at, what]) => `${new Date(at).toISOString()} ${what}`)
    const ms = (value: unknown) => dialect.date(value as Date).getTime()
    let compared = 0
    const kinds = new Set<string>()
    for (const one of planned) {
      const { job } = one
      const runs = await sql.query<Record<string, unknown>>(
        'SELECT tick, state, reason, run_at, window_start, window_end FROM piko_run WHERE job_id = ?',
        [job.id],
      )
      const found = new Map<number, string>()
      for (const run of runs) {
        expect(found.has(ms(run['tick']))).toBe(false)
        found.set(ms(run['tick']), run['state'] === 'skipped' ? String(run['reason']) : 'run')
        const delay = ms(run['run_at']) - ms(run['tick'])
        expect(delay).toBeGreaterThanOrEqual(0)
        expect(delay).toBeLessThanOrEqual(job.policy.jitterMs)
        if (job.policy.windows) expect(ms(run['window_end'])).toBe(ms(run['tick']))
      }
      if (job.policy.windows) {
        const ledger = await sql.query<Record<string, unknown>>(
          'SELECT start_at, end_at, state FROM piko_window WHERE job_id = ? ORDER BY start_at',
          [job.id],
        )
        expect(new Set(found.keys())).toEqual(
          new Set(ledger.filter((row) => row['state'] !== 'skipped').map((row) => ms(row['end_at']))),
        )
        for (const row of ledger) if (row['state'] === 'skipped') found.set(ms(row['end_at']), 'skipped')
        // The windows of the ledger tile.
        for (const [index, row] of ledger.slice(1).entries())
          expect(ms(row['start_at'])).toBe(ms(ledger[index]!['end_at']))
      }
      const expected = promised(one, passes)
      if (texts(found).join() !== texts(expected).join()) {
        expect.soft({ spec: job.spec, ticks: texts(found) }).toEqual({ spec: job.spec, ticks: texts(expected) })
      }
      compared += expected.size
      for (const what of expected.values()) kinds.add(`${job.policy.windows?.catchUp ?? job.spec.misfire} ${what}`)
    }
    expect(compared).toBeGreaterThan(40_000)
    // Every policy had a case to decide.
    expect([...kinds].sort()).toEqual(
      ['all misfire', 'all run', 'latest run', 'latest skipped', 'none run', 'none skipped', 'once misfire', 'once run']
        .concat('skip misfire', 'skip run')
        .sort(),
    )
  })
})

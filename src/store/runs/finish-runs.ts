import { type Kysely, type RawBuilder, sql, type Transaction } from 'kysely'
import { toJson } from '../../json/json.ts'
import { cancelledError } from '../../run/attempt.ts'
import type { Claim, RunState, Transition } from '../../run/run.ts'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'
import { endedAttempt, recordAttempts } from '../history/attempt-store.ts'
import { recordFailures } from '../notices/record-failures.ts'
import { note, noteLate, noteRows, runGroups } from '../events/notes.ts'
import type { Tables } from '../tables.ts'
import { fenceOf } from './fence.ts'
import { type Finish, type FinishResult, phasesOfMany, phasesOfOne } from './finish.ts'
import { guarded, settleWindows, success, usualSuccess } from './guarded.ts'

const NONE_LOST: FinishResult = { lost: [], cancelled: [] }

export async function finishRuns(
  database: Database,
  nodeId: string,
  finishes: readonly Finish[],
): Promise<FinishResult> {
  if (finishes.length === 0) return NONE_LOST
  const { db, dialect } = database
  // A single statement needs no transaction, unless events are recorded. It can safely be repeated, because the code below finds out which
  // rows it changed.
  const [versions, ...others] = byVersions(finishes)
  if (!database.recording.isOn && versions && others.length === 0 && finishes.every(isAlone)) {
    const changed = await database.retry(() => succeed(db, dialect, nodeId, versions))
    if (changed === finishes.length) {
      noteLate(database, (trx) => note(trx, () => runGroups(claimsOf(finishes), 'succeeded', nodeId)))
      return NONE_LOST
    }
  }
  return database.transaction((trx) => finishIn(trx, dialect, nodeId, finishes))
}

async function finishIn(
  trx: Transaction<Tables>,
  dialect: Dialect,
  nodeId: string,
  asked: readonly Finish[],
): Promise<FinishResult> {
  const cancelled = new Set<number>()
  const busy = await busyAmong(trx, dialect, asked)
  const finishes = busy.size === 0 ? asked : asked.map((finish) => (busy.has(finish.claim) ? reopened(finish) : finish))
  const changed = await settleRuns(trx, dialect, nodeId, finishes, cancelled)
  const lost = changed === finishes.length ? new Set<number>() : await lostOf(trx, nodeId, finishes, cancelled)
  const written = finishes.filter(({ claim }) => !lost.has(claim.fence))
  await settleWindows(
    trx,
    dialect,
    written.map(({ claim, transition }) =>
      cancelled.has(claim.fence)
        ? { claim, transition: { to: 'cancelled', error: cancelledError() } }
        : { claim, transition },
    ),
  )
  const isPlainNow = (finish: Finish): boolean => isPlain(finish) && !cancelled.has(finish.claim.fence)
  note(trx, () => runGroups(claimsOf(written.filter(isPlainNow)), 'succeeded', nodeId))
  noteRows(trx, 'runs', idsOf(written.filter((finish) => !isPlainNow(finish))))
  // A run that never began made no attempt.
  const begun = written.filter((finish) => !isUntouched(finish))
  const ends = begun.flatMap((finish) => endedAttempt(nodeId, finish.claim, finish.transition, finish.phases))
  await recordAttempts(trx, dialect, ends)
  await recordFailures(
    trx,
    dialect,
    written.flatMap(({ claim, transition }) =>
      transition.to === 'failed' && !cancelled.has(claim.fence) ? [{ ...claim, error: transition.error }] : [],
    ),
  )
  const withFence = (fences: ReadonlySet<number>): Claim[] =>
    fences.size === 0 ? [] : claimsOf(finishes).filter((claim) => fences.has(claim.fence))
  const isOpen = ({ fence }: Claim): boolean => !lost.has(fence) && !cancelled.has(fence)
  const reopenedNow = busy.size === 0 ? undefined : { reopened: [...busy].filter(isOpen) }
  return { lost: withFence(lost), cancelled: withFence(cancelled), ...reopenedNow }
}

/**
 * Returns the claims whose runs can't end yet, because some of their items were queued again. Locks the runs, as a replay of items does. So
 * a replay at the same time either queues the items before this check, or finds that the runs have ended.
 */
async function busyAmong(
  trx: Transaction<Tables>,
  dialect: Dialect,
  finishes: readonly Finish[],
): Promise<ReadonlySet<Claim>> {
  const waited = finishes.filter(({ idleItems }) => idleItems !== undefined)
  if (waited.length === 0) return new Set()
  await trx
    .selectFrom('piko_run')
    .select('id')
    .where(
      'id',
      'in',
      waited.map(({ claim }) => claim.runId),
    )
    .orderBy('id')
    .modifyEnd(dialect.forUpdate)
    .execute()
  const rows = await trx
    .selectFrom('piko_item')
    .select('fence')
    .distinct()
    .where(
      'fence',
      'in',
      waited.map(({ idleItems }) => idleItems as number),
    )
    .where('state', 'in', ['queued', 'running'])
    .execute()
  const fences = new Set(rows.map(({ fence }) => fence))
  return new Set(waited.filter(({ idleItems }) => fences.has(idleItems as number)).map(({ claim }) => claim))
}

function reopened(finish: Finish): Finish {
  return { ...finish, transition: { to: 'queued', counted: false, delayMs: 0 } }
}

/**
 * Writes how claims end. Returns the number of changed rows. Adds to `cancelled` the fences of runs that were cancelled instead of queued,
 * except for those that `lostOf` finds.
 */
async function settleRuns(
  trx: Transaction<Tables>,
  dialect: Dialect,
  nodeId: string,
  finishes: readonly Finish[],
  cancelled: Set<number>,
): Promise<number> {
  const plain = finishes.filter(isPlain)
  const isAllPlain = plain.length === finishes.length
  const untouched = isAllPlain ? [] : finishes.filter(isUntouched)
  // There may be many of these: a stop interrupts all running runs, and many runs may wait in `ctx.until`.
  const interrupted = isAllPlain ? [] : finishes.filter(isInterrupted)
  const isAll = plain.length + untouched.length + interrupted.length === finishes.length
  const others = isAll
    ? []
    : finishes.filter((finish) => !isPlain(finish) && !isUntouched(finish) && !isInterrupted(finish))
  let changed = 0
  for (const some of byVersions(plain)) changed += await succeed(trx, dialect, nodeId, some)
  if (untouched.length > 0) changed += await putBack(trx, dialect, nodeId, untouched, 'untouched')
  for (const [delayMs, some] of Map.groupBy(interrupted, delayOf)) {
    changed += await putBack(trx, dialect, nodeId, some, 'begun', delayMs)
  }
  for (const finish of others) {
    const isRequeued = finish.transition.to === 'queued'
    const { numUpdatedRows } = await guarded(trx, dialect, nodeId, [finish.claim])
      .set({ ...changesOf(finish.transition, dialect), ...versionOf(finish), ...phasesOfOne(finish) })
      .$if(isRequeued, (update) => update.where('cancel_requested_at', 'is', null))
      .executeTakeFirstOrThrow()
    changed += Number(numUpdatedRows)
    if (isRequeued && numUpdatedRows === 0n && (await cancelInstead(trx, dialect, nodeId, finish))) {
      cancelled.add(finish.claim.fence)
      changed += 1
    }
  }
  return changed
}

async function succeed(
  db: Kysely<Tables>,
  dialect: Dialect,
  nodeId: string,
  { finishes, versions }: SameVersions,
): Promise<number> {
  const usual = versions === NO_VERSIONS ? usualSuccess(db, dialect, nodeId, finishes) : undefined
  if (usual) return Number((await db.executeQuery(usual)).numAffectedRows)
  const arms = [...versions].flatMap(([jobId, version]) =>
    version === undefined ? [] : sql`WHEN ${jobId} THEN ${sql.lit(version)}`,
  )
  const used = sql<number | null>`CASE job_id ${sql.join(arms, sql` `)} ELSE config_version END`
  const { numUpdatedRows } = await guarded(db, dialect, nodeId, claimsOf(finishes))
    .set({ ...success(dialect), ...(arms.length > 0 && { config_version: used }), ...phasesOfMany(finishes) })
    .executeTakeFirstOrThrow()
  return Number(numUpdatedRows)
}

/** Finishes that one statement can write: all runs of a job used the same version of its config. */
interface SameVersions {
  readonly finishes: readonly Finish[]
  /** The config version of each job; undefined: the job had none. */
  readonly versions: ReadonlyMap<string, number | undefined>
}

/** Groups finishes by config version, because one statement can write only one version per job. Usually there is only one group. */
function byVersions(finishes: readonly Finish[]): SameVersions[] {
  if (finishes.length === 0) return []
  if (finishes.every(({ configVersion }) => configVersion === undefined)) return [{ finishes, versions: NO_VERSIONS }]
  const groups: { finishes: Finish[]; versions: Map<string, number | undefined> }[] = []
  for (const finish of finishes) {
    const { configVersion: version, claim } = finish
    let group = groups.find(({ versions }) => !versions.has(claim.jobId) || versions.get(claim.jobId) === version)
    if (!group) groups.push((group = { finishes: [], versions: new Map() }))
    group.finishes.push(finish)
    group.versions.set(claim.jobId, version)
  }
  return groups
}

const NO_VERSIONS: ReadonlyMap<string, undefined> = new Map()

function versionOf({ configVersion }: Finish): { config_version?: number } {
  return configVersion === undefined ? {} : { config_version: configVersion }
}

/** Queues runs again and returns their number. Runs with a cancel request are cancelled instead and not counted; `lostOf` finds them. */
async function putBack(
  trx: Transaction<Tables>,
  dialect: Dialect,
  nodeId: string,
  finishes: readonly Finish[],
  kind: 'untouched' | 'begun',
  delayMs = 0,
): Promise<number> {
  const held = () => guarded(trx, dialect, nodeId, claimsOf(finishes))
  const uncounted = { node_id: null, attempt: sql<number>`attempt - 1` }
  const untaken = { ...uncounted, started_at: null }
  const { numUpdatedRows } = await held()
    .set({
      state: 'queued',
      ...(kind === 'begun' ? { ...uncounted, run_at: queuedAt({ delayMs }, dialect) } : untaken),
    })
    .where('cancel_requested_at', 'is', null)
    .executeTakeFirstOrThrow()
  if (Number(numUpdatedRows) < finishes.length)
    await held()
      .set(changesOf({ to: 'cancelled', error: cancelledError() }, dialect))
      .$if(kind === 'untouched', (update) => update.set(untaken))
      .where('cancel_requested_at', 'is not', null)
      .execute()
  return Number(numUpdatedRows)
}

/** Cancels a run that was not queued again because of a cancel request. Returns false if its claim is no longer valid. */
async function cancelInstead(
  trx: Transaction<Tables>,
  dialect: Dialect,
  nodeId: string,
  finish: Finish,
): Promise<boolean> {
  const { numUpdatedRows } = await guarded(trx, dialect, nodeId, [finish.claim])
    .set(changesOf({ to: 'cancelled', error: cancelledError() }, dialect))
    .where('cancel_requested_at', 'is not', null)
    .executeTakeFirstOrThrow()
  return numUpdatedRows > 0n
}

/** Returns the fences of claims whose rows differ from what this node wrote. Adds those of cancelled runs to `cancelled`. */
async function lostOf(
  trx: Transaction<Tables>,
  nodeId: string,
  finishes: readonly Finish[],
  cancelled: Set<number>,
): Promise<Set<number>> {
  const rows = await trx
    .selectFrom('piko_run')
    .select(['id', 'claims', 'node_id', 'state'])
    .where(
      'id',
      'in',
      finishes.map(({ claim }) => claim.runId),
    )
    .execute()
  const byId = new Map(rows.map((row) => [row.id, row]))
  const lost = new Set<number>()
  for (const { claim, transition } of finishes) {
    const row = byId.get(claim.runId)
    const owner = transition.to === 'queued' ? null : nodeId
    const fence = row ? fenceOf(row.id, row.claims) : undefined
    // Either the run was cancelled after this node queued it, or it was cancelled instead of queued.
    if (transition.to === 'queued' && row?.state === 'cancelled' && fence === claim.fence) cancelled.add(claim.fence)
    else if (row?.state !== transition.to || fence !== claim.fence || row.node_id !== owner) lost.add(claim.fence)
  }
  return lost
}

interface RunChanges {
  state: RunState
  node_id?: null
  run_at?: Date | string | RawBuilder<Date>
  attempt?: RawBuilder<number>
  error?: string | null
  output?: string | null
  finished_at?: RawBuilder<Date>
}

function changesOf(transition: Transition, dialect: Dialect): RunChanges {
  switch (transition.to) {
    case 'succeeded':
      return {
        state: 'succeeded',
        error: null,
        output: toJson(transition.output, 'output'),
        finished_at: dialect.now(),
      }
    case 'failed':
    case 'cancelled':
      return { state: transition.to, error: toJson(transition.error, 'error'), finished_at: dialect.now() }
    case 'queued':
      return {
        state: 'queued',
        node_id: null,
        run_at: queuedAt(transition, dialect),
        ...(!transition.counted && { attempt: sql<number>`attempt - 1` }),
        ...(transition.error && { error: toJson(transition.error, 'error') }),
      }
  }
}

/** Returns when a run that is queued again is due. */
function queuedAt(
  { at, delayMs }: { readonly at?: Date; readonly delayMs: number },
  dialect: Dialect,
): Date | string | RawBuilder<Date> {
  if (at) return dialect.instant(at)
  return delayMs > 0 ? dialect.nowPlus(delayMs) : dialect.now()
}

/** Whether the run succeeds without an output. One statement writes many of these. */
function isPlain({ transition }: Finish): boolean {
  return transition.to === 'succeeded' && transition.output === undefined
}

/** Whether the run never began and returns to the queue unchanged. One statement writes many of these. */
function isUntouched({ claim, transition }: Finish): boolean {
  return transition.to === 'queued' && !transition.counted && !transition.error && transition.at === claim.runAt
}

/** Whether the run began and is queued again without counting the attempt. One statement writes all runs with the same delay. */
function isInterrupted({ transition }: Finish): boolean {
  return transition.to === 'queued' && !transition.counted && !transition.error && transition.at === undefined
}

function delayOf({ transition }: Finish): number {
  return transition.to === 'queued' ? transition.delayMs : 0
}

/** Whether the run succeeds without an output, and has neither a window nor items. */
function isAlone(finish: Finish): boolean {
  return finish.claim.window === undefined && finish.idleItems === undefined && isPlain(finish)
}

function claimsOf(finishes: readonly Finish[]): Claim[] {
  return finishes.map(({ claim }) => claim)
}

function* idsOf(finishes: readonly Finish[]): Generator<number> {
  for (const { claim } of finishes) yield claim.runId
}

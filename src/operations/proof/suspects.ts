import type { ProofStore, SuspectWindow, TimeRange } from '../../store/proof/proof-store.ts'
import type { Window } from '../../time/window.ts'
import { type Findings, MAX_FINDINGS } from './findings.ts'
import type { ProofEntry } from './proof-tables.ts'

/**
 * Windows whose rows in the ledger do not match their claims. Each is a finding, unless only the notation of a value differs. Their tables
 * are compared with what the claims stored.
 */
export interface Suspects {
  /** Ids of rows to leave out. */
  readonly ids: ReadonlySet<number>
  /** The windows as their claims have stored them. */
  readonly entries: readonly ProofEntry[]
}

/** Finds the windows that a person has changed or added, and adds a finding for each. */
export async function suspectsOf(
  store: ProofStore,
  jobId: string,
  range: TimeRange,
  findings: Findings,
): Promise<Suspects> {
  const found = await store.suspects(jobId, range, MAX_FINDINGS)
  const ids = new Set(found.map(({ id }) => id))
  const entries: ProofEntry[] = []
  for (const suspect of found) {
    const { start, end, run } = suspect
    const claimed = run?.jobId === jobId && run.start && run.end ? { start: run.start, end: run.end } : undefined
    const isAtHome = claimed !== undefined && start?.getTime() === claimed.start.getTime()
    const isTaken = claimed !== undefined && !isAtHome && (await isKnown(store, jobId, claimed, ids))
    if (run && claimed && !isTaken) {
      const why = whyEdited(suspect, run, claimed)
      if (why !== undefined) findings.edited(claimed, suspect, why, { ...run })
      const isSucceeded = run.state === 'succeeded'
      if (!entries.some((one) => one.start.getTime() === claimed.start.getTime()))
        entries.push({
          ...claimed,
          fence: run.fence,
          isSucceeded,
          id: isAtHome && why === undefined ? suspect.id : undefined,
        })
      continue
    }
    if (!start || !end) {
      findings.unreadable(suspect)
      continue
    }
    const other = await overlapped(store, jobId, { start, end }, ids)
    if (other) findings.overlap({ start, end }, suspect.id, other)
    else {
      findings.edited({ start, end }, suspect, 'it has succeeded, but no claim has ended it')
      entries.push({ start, end, fence: suspect.fence ?? 0, isSucceeded: false, id: suspect.id })
    }
  }
  return { ids, entries }
}

/** Returns the difference between the row and its claim; undefined if only the notation of a value differs. */
function whyEdited(
  { start, end, state, fence }: SuspectWindow,
  run: NonNullable<SuspectWindow['run']>,
  claimed: Window,
): string | undefined {
  const differences = [
    start?.getTime() === claimed.start.getTime() ? undefined : `it starts at ${text(start)}`,
    end?.getTime() === claimed.end.getTime() ? undefined : `it ends at ${text(end)}`,
    (run.state === 'succeeded') === (state === 'succeeded' || state === 'stale') ? undefined : `it is ${state}`,
    run.state !== 'succeeded' || fence === run.fence ? undefined : `its fence is ${String(fence)}`,
  ].filter((one) => one !== undefined)
  if (differences.length === 0) return undefined
  return (
    `${differences.join(', ')}; run ${run.id} is ${run.state} with fence ${run.fence} and the window ` +
    `${text(claimed.start)} to ${text(claimed.end)}`
  )
}

/** Whether the ledger has a valid window with this start. */
async function isKnown(
  store: ProofStore,
  jobId: string,
  { start }: Window,
  suspects: ReadonlySet<number>,
): Promise<boolean> {
  const rows = await store.windows(jobId, { from: start, to: new Date(start.getTime() + 1) }, 1)
  return rows.some(({ id }) => !suspects.has(id))
}

/** Returns a valid window that overlaps this one. */
async function overlapped(
  store: ProofStore,
  jobId: string,
  { start, end }: Window,
  suspects: ReadonlySet<number>,
): Promise<Window | undefined> {
  const before = await store.before(jobId, start)
  const after = await store.windows(jobId, { from: start, to: end }, 2)
  const beside = [before, ...after].filter((row) => row !== undefined && !suspects.has(row.id))
  const found = beside.find((row) => row?.start && row.end && row.start < end && row.end > start)
  return found?.start && found.end ? { start: found.start, end: found.end } : undefined
}

function text(instant: Date | undefined): string {
  return instant?.toISOString().replace('.000Z', 'Z') ?? 'no readable instant'
}

import { signal } from '@preact/signals'
import { type ComponentChildren, createContext } from 'preact'
import { useContext, useEffect } from 'preact/hooks'
import { get } from './api.ts'
import { revision } from './live.ts'
import { zoneOf } from './schedule.ts'
import { zoneChoice } from './settings.ts'

/** The maximum number of jobs in one request. */
const MAX_ASKED = 50
/** A loaded zone that is older than this is loaded again when a row needs it, because a person may have changed the job's schedule. */
const FRESH_MS = 60_000

type Children = { readonly children: ComponentChildren }

interface Known {
  readonly zone: string | undefined
  readonly readAt: number
}

const Zone = createContext<string | undefined>(undefined)
const known = signal<ReadonlyMap<string, Known>>(new Map())
/** The jobs whose zone is requested by the next request, or by one that has not been answered yet. */
const asked = new Set<string>()
const waiting = new Set<string>()

/** Why the zones of some jobs are not known, so that their instants are shown in UTC. */
export const zoneProblem = signal<string | undefined>(undefined)

/**
 * Returns the zone of the job to which this part of the page belongs. Undefined: it belongs to no job, or the job's zone is not known.
 */
export function useZone(): string | undefined {
  return useContext(Zone)
}

/** A part of a page that belongs to one job, whose zone is known. */
export function InZone({ zone, children }: Children & { readonly zone: string | undefined }) {
  return <Zone.Provider value={zone}>{children}</Zone.Provider>
}

/** A part of a page that belongs to one job. Its zone is loaded only if times are shown in the zones of jobs. */
export function InZoneOf({ job, children }: Children & { readonly job: string | undefined }) {
  return <InZone zone={useZoneOf(job)}>{children}</InZone>
}

/** Loads the zone of a job, if times are shown in the zones of jobs. All jobs of a page are loaded together. */
export function useZoneOf(jobId: string | undefined): string | undefined {
  const wanted = zoneChoice.value === 'job' && jobId !== undefined && jobId !== '' ? jobId : undefined
  const version = revision.value
  useEffect(() => {
    if (wanted !== undefined) want(wanted)
  }, [wanted, version])
  return wanted === undefined ? undefined : known.value.get(wanted)?.zone
}

function want(jobId: string): void {
  const { readAt = -Infinity } = known.peek().get(jobId) ?? {}
  if (asked.has(jobId) || performance.now() - readAt < FRESH_MS) return
  if (waiting.size === 0) queueMicrotask(readWaiting)
  asked.add(jobId)
  waiting.add(jobId)
}

function readWaiting(): void {
  const ids = [...waiting]
  waiting.clear()
  for (let at = 0; at < ids.length; at += MAX_ASKED) void read(ids.slice(at, at + MAX_ASKED))
}

async function read(jobIds: readonly string[]): Promise<void> {
  try {
    const wanted = { jobIds: jobIds.join(','), limit: jobIds.length }
    const { items } = await get<'jobs.list'>('/jobs', wanted)
    const zones = new Map(items.map(({ id, schedule }) => [id, zoneOf(schedule)]))
    const readAt = performance.now()
    known.value = new Map([...known.peek(), ...jobIds.map((id) => [id, { zone: zones.get(id), readAt }] as const)])
    zoneProblem.value = undefined
  } catch (error) {
    zoneProblem.value = error instanceof Error ? error.message : String(error)
  } finally {
    for (const id of jobIds) asked.delete(id)
  }
}

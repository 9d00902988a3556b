import { type Action, ask, says } from '../actions/action.tsx'
import { get, type Item, part } from '../shared/api.ts'
import { knownAction } from '../actions/known-actions.ts'
import { go } from '../shared/router.ts'
import { whyNot } from '../shared/session.ts'
import { theme, THEMES, zoneChoice, ZONES } from '../shared/settings.ts'

/** One line of the command palette. */
export interface Entry {
  readonly name: string
  /** Why the line can't be selected; undefined if it can. */
  readonly off?: string | undefined
  readonly open: () => void
}

type Job = Pick<Item<'jobs.list'>, 'id' | 'state' | 'windows'>
type Node = Pick<Item<'nodes.list'>, 'id' | 'host' | 'pid' | 'isDraining'>

export interface Found {
  readonly jobs: readonly Job[]
  readonly nodes: readonly Node[]
}

const PAGES: readonly (readonly [name: string, target: string])[] = [
  ['Overview', '/'],
  ['Grid of windows', '/grid'],
  ['Timeline of runs', '/timeline'],
  ['Runs', '/runs'],
  ['Failed runs', '/runs?state=failed'],
  ['Running runs', '/runs?state=running'],
  ['Backfills: new, pause, resume, cancel', '/backfills'],
  ['Why not?', '/why'],
  ['Nodes: drain, resume; services: restart; locks, resources, sinks', '/nodes'],
  ['Audit of changes', '/audit'],
  ['Tokens: new, revoke', '/tokens'],
]
const ZONE_NAMES = { utc: 'UTC', job: "the job's zone", browser: 'my zone' } as const
const DATE = /\b\d{4}-\d{2}-\d{2}\b/
/** Words that name an action and are not part of a job's id. */
const VERBS =
  /\b(?:pause|resume|run|replay|cancel|backfill|why|failed|windows?|calendar|drain|job|of|on|the|now|node)\b/gi
const MAX_JOBS = 12

/** Loads the data for the entries that match a string. */
export async function find(text: string, signal: AbortSignal): Promise<Found> {
  const search = text.replace(DATE, '').replaceAll(VERBS, '').trim()
  const [jobs, nodes] = await Promise.all([
    get<'jobs.list'>('/jobs', { search, limit: MAX_JOBS }, signal),
    get<'nodes.list'>('/nodes', {}, signal),
  ])
  return { jobs: jobs.items, nodes: nodes.items.filter(({ isLive }) => isLive) }
}

/** Returns the entries that match a string: a run by its number, the windows of a date, pages, jobs and every action. */
export function entriesFor(text: string, { jobs, nodes }: Found): Entry[] {
  const [date] = DATE.exec(text) ?? []
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  const all = [
    ...(/^\d{1,15}$/.test(text) ? runEntries(Number(text)) : []),
    ...PAGES.map(([name, target]) => page(name, target)),
    ...jobs.flatMap((job) => jobEntries(job, date, text !== '')),
    ...(text === '' ? [] : [...nodes.map(nodeEntry), ...choices()]),
    ...(date === undefined ? [] : [page(`Grid until ${date}`, `/grid?to=${date}T00:00:00.000Z`)]),
  ]
  return all.filter(({ name }) => words.every((word) => name.toLowerCase().includes(word)))
}

function page(name: string, target: string): Entry {
  return { name, open: () => go(target) }
}

function act(action: Action | undefined): Entry[] {
  return action ? [{ name: action.title, off: whyNot(action.request), open: () => ask(action) }] : []
}

function runEntries(runId: number): Entry[] {
  return [
    page(`Run ${runId}`, `/runs/${runId}`),
    ...act(knownAction({ verb: 'runs.replay', runId })),
    ...act(knownAction({ verb: 'runs.cancel', runId })),
  ]
}

function jobEntries({ id, state, windows }: Job, date: string | undefined, isAsked: boolean): Entry[] {
  const place = `/jobs/${part(id)}`
  if (!isAsked) return [page(`Job ${id}`, place)]
  const dated =
    date === undefined || windows === null
      ? []
      : [
          page(`Windows of ${id} on ${date}`, `${place}?year=${date.slice(0, 4)}&day=${date}`),
          page(`Why ${id} on ${date}`, `/why/${part(id)}?at=${date}`),
        ]
  return [
    ...dated,
    page(`Job ${id}`, place),
    page(`Failed runs of ${id}`, `/runs?jobId=${part(id)}&state=failed`),
    page(`Why ${id}`, `/why/${part(id)}`),
    ...(windows === null ? [] : [page(`Backfill ${id}`, `/backfills?jobId=${part(id)}`)]),
    ...act(knownAction({ verb: state === 'paused' ? 'jobs.resume' : 'jobs.pause', jobId: id })),
    ...act(knownAction({ verb: 'runs.start', jobId: id })),
  ]
}

function nodeEntry({ id, host, pid, isDraining }: Node): Entry {
  const verb = isDraining ? 'resume' : 'drain'
  const [entry] = act({
    title: `${isDraining ? 'Resume' : 'Drain'} node ${host} (${pid})`,
    request: { method: 'POST', path: `/nodes/${part(id)}/${verb}` },
    cli: ['nodes', verb, id],
    preview: says(isDraining ? 'The node begins runs again.' : 'The node begins no further runs. Its runs continue.'),
  })
  return entry ?? page('Nodes', '/nodes')
}

function choices(): Entry[] {
  return [
    ...ZONES.map((zone) => ({ name: `Times in ${ZONE_NAMES[zone]}`, open: () => void (zoneChoice.value = zone) })),
    ...THEMES.map((one) => ({ name: `Colours: ${one}`, open: () => void (theme.value = one) })),
  ]
}

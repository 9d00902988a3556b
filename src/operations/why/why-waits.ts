import { counted } from '../../counted.ts'
import { formatMs } from '../../time/duration.ts'
import type { RunWaits, UsedLimit } from '../../store/admission/wait-store.ts'
import type { WhyChange } from './why-change.ts'

/** A live node. */
export interface WhyNode {
  readonly id: string
  readonly name: string
  readonly isDraining: boolean
  readonly running: number
  readonly slots: number | undefined
  /** Whether its code has the job; undefined if it does not report its jobs. */
  readonly hasJob: boolean | undefined
}

/** What is known about a run that is due. */
export interface WaitFacts {
  readonly runId: number
  readonly now: Date
  readonly nodes: readonly WhyNode[]
  /** The backfill of the run. */
  readonly backfillId: number | undefined
  /** The limits that apply to the run, and their use. */
  readonly waits: RunWaits
  /** Whether this process has the job's code, and therefore knows its limits. */
  readonly hasCode: boolean
}

/** What may make a due run wait, in the order in which it is explained. */
export const WAIT_RULES = ['nodes', 'backfill limit', 'concurrency', 'rate', 'slots'] as const

export type WaitRule = (typeof WAIT_RULES)[number]

export interface WaitDecision {
  readonly verdict: 'passed' | 'waiting' | 'info'
  readonly evidence: string
  readonly change?: WhyChange | undefined
}

const NAMED = 5

/** Returns the decision of each rule about a due run; undefined if the rule does not apply. Pure. */
export const WAITS: Readonly<Record<WaitRule, (facts: WaitFacts) => WaitDecision | undefined>> = {
  nodes: ({ nodes }) => {
    if (nodes.length === 0) return waiting('no node is running that could execute it')
    const having = nodes.filter(({ hasJob }) => hasJob === true)
    const silent = nodes.filter(({ hasJob }) => hasJob === undefined)
    if (having.length === 0 && silent.length === 0)
      return waiting(`no live node knows the job: it is not in the code of ${namesOf(nodes)}`)
    if (silent.length > 0) return passed(nodes.length === 1 ? 'one node is live' : `${nodes.length} nodes are live`)
    return passed(`${having.length} of ${nodes.length} live nodes know the job`)
  },
  'backfill limit': ({ backfillId, waits: { backfill } }) => {
    if (!backfill) return undefined
    const rule = `backfill ${backfillId} runs at most ${counted(backfill.limit, 'window')} at the same time (parallel)`
    return decided(rule, backfill)
  },
  concurrency: ({ waits, hasCode }) => {
    if (!hasCode)
      return { verdict: 'info', evidence: 'this process has no code for the job, so it does not know its limits' }
    const { concurrency, parallel, perKey } = waits
    const decisions = [
      concurrency && decided(`the job runs at most ${concurrency.limit} at the same time (concurrency)`, concurrency),
      parallel && decided(`at most ${parallel.limit} of its windows run at the same time (windows.parallel)`, parallel),
      perKey &&
        decided(`at most ${perKey.limit} with the key ${JSON.stringify(perKey.key)} run at the same time`, perKey),
    ].filter((one) => one !== undefined)
    return decisions.find(({ verdict }) => verdict === 'waiting') ?? decisions[0]
  },
  rate: ({ runId, now, waits: { rate } }) => {
    if (!rate) return undefined
    const of = rate.key === undefined ? '' : ` with the key ${JSON.stringify(rate.key)}`
    const rule = `at most ${rate.limit} ${rate.limit === 1 ? 'attempt' : 'attempts'}${of} may begin in ${formatMs(rate.perMs)} (rate)`
    if (rate.inMs === 0) return passed(`${rule}, and one may begin now`)
    const at = new Date(now.getTime() + rate.inMs).toISOString()
    return waiting(`${rule}, and the next one may begin in ${formatMs(Math.ceil(rate.inMs))}, at ${at}`, {
      verb: 'runs.cancel',
      runId,
    })
  },
  slots: ({ runId, nodes }) => {
    const able = nodes.filter(({ hasJob }) => hasJob !== false)
    const open = able.filter(({ isDraining }) => !isDraining)
    const [drained] = able
    if (open.length === 0 && drained)
      return waiting(`each node that could execute it is draining: ${namesOf(able)}`, {
        verb: 'nodes.resume',
        nodeId: drained.id,
      })
    const free = open.filter(({ running, slots }) => slots === undefined || running < slots)
    if (free.length === 0) {
      const use = open.slice(0, NAMED).map(({ name, running, slots }) => `${name} runs ${running} of ${slots}`)
      return waiting(`no node that could execute it has a free slot: ${use.join(', ')}`, { verb: 'runs.cancel', runId })
    }
    return waiting(`nothing holds it back: a node claims it within one poll (${namesOf(free)})`, {
      verb: 'runs.cancel',
      runId,
    })
  },
}

/** Returns why a due run is waiting, in words. Pure. */
export function waitText(facts: WaitFacts): string {
  for (const rule of WAIT_RULES) {
    const found = WAITS[rule](facts)
    if (found?.verdict === 'waiting') return found.evidence
  }
  return 'a node claims it within one poll'
}

function decided(rule: string, { limit, running, runIds }: UsedLimit): WaitDecision {
  const [first] = runIds
  const more = running > runIds.length ? ` and ${running - runIds.length} more` : ''
  const named =
    runIds.length === 0 ? 'none is running' : `${words(runIds)}${more} ${running === 1 ? 'is' : 'are'} running`
  if (running < limit) return passed(`${rule}, and ${named}`)
  return waiting(`${rule}, and ${named}`, first === undefined ? undefined : { verb: 'runs.cancel', runId: first })
}

function words(runIds: readonly number[]): string {
  return `${runIds.length === 1 ? 'run' : 'runs'} ${runIds.join(', ')}`
}

function namesOf(nodes: readonly WhyNode[]): string {
  const names = nodes.slice(0, NAMED).map(({ name }) => name)
  return `${names.join(', ')}${nodes.length > NAMED ? ` and ${nodes.length - NAMED} more` : ''}`
}

function passed(evidence: string): WaitDecision {
  return { verdict: 'passed', evidence }
}

function waiting(evidence: string, change?: WhyChange): WaitDecision {
  return { verdict: 'waiting', evidence, change }
}

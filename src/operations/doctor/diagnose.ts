import { messageOf } from '../../errors-read.ts'
import { isPikoError } from '../../errors.ts'
import { CHECKS } from './all-checks.ts'
import type { Check } from './check.ts'
import type { FactName, Facts, SettingFact } from './facts.ts'
import { type Finding, SEVERITIES } from './finding.ts'

/** The result of one check. */
export interface CheckState {
  readonly id: string
  /**
   * `failed`: it could not run, which is a separate finding. `skipped`: it needs something that is missing, which another finding
   * reports.
   */
  readonly state: 'passed' | 'found' | 'failed' | 'skipped'
}

/** The result of the doctor. */
export interface DoctorReport {
  /** Whether there is no error and no warning. */
  readonly isHealthy: boolean
  /** The findings, the most severe first. */
  readonly findings: readonly Finding[]
  readonly checks: readonly CheckState[]
  /** The settings in force, with secrets masked. Empty if they can't be read. */
  readonly settings: readonly SettingFact[]
}

/** The functions that gather the facts. A fact without a function is unknown here, and its checks are skipped. */
export type Gatherers = { readonly [N in FactName]?: () => Facts[N] | Promise<Facts[N]> }

/** A fact, or the error that prevented gathering it. Undefined: it was not gathered. */
type Gathered = { readonly value: unknown } | { readonly error: unknown } | undefined

/** The facts that need a current schema. */
const OF_TABLES: ReadonlySet<FactName> = new Set(['sizes', 'runs', 'fleet', 'plans', 'broken'])
/** The order of gathering. The first facts decide whether the others can be gathered. */
const ORDER: readonly FactName[] = [
  ...(['problems', 'settings', 'ping', 'schema', 'server', 'clock', 'rights'] as const),
  ...(['sizes', 'runs', 'fleet', 'plans', 'broken'] as const),
]
/** The longest time for one fact. */
const LIMIT_MS = 15_000

/**
 * Gathers the facts and applies the checks. Never rejects: a fact that can't be gathered, or a check that throws, is a finding, and all
 * other checks run.
 */
export async function diagnose(
  gatherers: Gatherers,
  { checks = CHECKS, limitMs = LIMIT_MS }: { readonly checks?: readonly Check[]; readonly limitMs?: number } = {},
): Promise<DoctorReport> {
  const gathered = await gatherAll(gatherers, limitMs)
  const findings: Finding[] = []
  const states: CheckState[] = []
  const ping = gathered.get('ping')
  if (ping && 'error' in ping) findings.push(unreachable(ping.error))
  for (const check of checks) {
    const { state, found } = apply(check, gathered)
    states.push({ id: check.id, state })
    findings.push(...found)
  }
  const rank = ({ severity }: Finding): number => SEVERITIES.indexOf(severity)
  const settings = gathered.get('settings')
  return {
    isHealthy: findings.every(({ severity }) => severity === 'info'),
    findings: findings.sort((one, other) => rank(one) - rank(other)),
    checks: states,
    settings: settings && 'value' in settings ? (settings.value as Facts['settings']).values : [],
  }
}

async function gatherAll(gatherers: Gatherers, limitMs: number): Promise<ReadonlyMap<FactName, Gathered>> {
  const gathered = new Map<FactName, Gathered>()
  for (const name of ORDER) {
    const gather = gatherers[name]
    if (gather && canGather(name, gathered)) gathered.set(name, await gatherOne(gather, limitMs))
  }
  return gathered
}

/** Without a database, or with another schema, one finding says so instead of one for each statement that fails. */
function canGather(name: FactName, gathered: ReadonlyMap<FactName, Gathered>): boolean {
  if (name === 'problems' || name === 'settings' || name === 'ping') return true
  const ping = gathered.get('ping')
  if (ping && 'error' in ping) return false
  if (!OF_TABLES.has(name)) return true
  const schema = gathered.get('schema')
  if (!schema || !('value' in schema)) return true
  const { migration, lacking } = schema.value as Facts['schema']
  return migration.migrations.every(({ state }) => state === 'applied') && !lacking.some(({ kind }) => kind !== 'index')
}

async function gatherOne(gather: () => unknown, limitMs: number): Promise<Gathered> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${limitMs / 1_000} s`)), limitMs)
  try {
    return { value: await Promise.race([gather(), late.promise]) }
  } catch (error) {
    return { error }
  } finally {
    clearTimeout(timer)
  }
}

function apply(
  check: Check,
  gathered: ReadonlyMap<FactName, Gathered>,
): Pick<CheckState, 'state'> & { readonly found: readonly Finding[] } {
  const facts: Partial<Record<FactName, unknown>> = {}
  for (const name of check.needs) {
    const fact = gathered.get(name)
    if (!fact) return { state: 'skipped', found: [] }
    if ('error' in fact) return { state: 'failed', found: [failed(check.id, fact.error)] }
    facts[name] = fact.value
  }
  try {
    const found = check.find(facts as unknown as Facts)
    return { state: found.length > 0 ? 'found' : 'passed', found }
  } catch (error) {
    return { state: 'failed', found: [failed(check.id, error)] }
  }
}

function failed(id: string, error: unknown): Finding {
  const { found, remedy } = parted(error)
  return { id: `${id}.failed`, severity: 'warning', found: `the check "${id}" could not run: ${found}`, remedy }
}

function unreachable(error: unknown): Finding {
  const { found, remedy } = parted(error)
  return { id: 'connectivity.failed', severity: 'error', found: `the database does not answer: ${found}`, remedy }
}

/** Messages of Piko end with what to do, after a semicolon. */
function parted(error: unknown): Pick<Finding, 'found' | 'remedy'> {
  const message = messageOf(error)
  const at = isPikoError(error) ? message.lastIndexOf('; ') : -1
  if (at < 0) return { found: message, remedy: 'remove the cause, then: piko doctor' }
  return { found: message.slice(0, at), remedy: message.slice(at + 2) }
}

import { messageOf } from '../../errors-read.ts'
import { PikoError, toError } from '../../errors.ts'
import { problemsText } from '../../options.ts'
import type { JobRegistry } from '../../job/registry.ts'
import { parseConfig } from '../../job/schemas/run-config.ts'
import { readLive } from '../../settings/live.ts'
import type { ConfigAck, ConfigAckStore } from '../../store/jobs/config-ack-store.ts'
import {
  type ConfigStore,
  type ConfigVersion,
  isSettings,
  NODE_SETTINGS,
  settingsOf,
  type StoredVersion,
} from '../../store/jobs/config-store.ts'
import type { Events } from '../../events.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import type { LiveSettings } from './live-settings.ts'

/** The number of polls for work between two checks for a new config. */
const POLLS = 2
/** Notifications of configs go the way of those of shared values. No topic of a shared value begins like this. */
const TOPIC = '@config/'
/** Rows that a person edits in place have no new version, so the versions in force are read again after this time. */
const EDITS_MS = 10_000

export interface ConfigWatcherParts extends LoopServiceParts {
  readonly configs: Pick<ConfigStore, 'state' | 'inForce'>
  /** Stores which versions this node uses. Undefined for a process that executes nothing. */
  readonly acks: Pick<ConfigAckStore, 'save'> | undefined
  readonly nodeId: () => string
  readonly host: string
  readonly registry: Pick<JobRegistry, 'find'>
  readonly live: Pick<LiveSettings, 'pollIntervalMs' | 'apply'>
  /** Notifies the other nodes, as of a new version of a shared value. */
  readonly tell: (topic: string, version: number) => void
  readonly events: Events
}

interface Refused {
  readonly id: number
  readonly version: number
  readonly text: string
  readonly error: Error
}

/**
 * Keeps the config in force for every job up to date. Each poll sends one short query for all jobs. A notification by another node only
 * makes the next poll come earlier. The last known config stays in force while the database is unavailable or this service restarts.
 *
 * If the job's schema refuses a version, the one that this node uses stays in force. If a person wrote the refused version into the
 * database, the last good one before it is used. If newer code refuses what older code has saved, no version is good. Then the runs fail,
 * and the error names the version.
 */
export class ConfigWatcher extends LoopService {
  readonly #parts: ConfigWatcherParts
  #mark = ''
  #isFirst = true
  #editsAt = -Infinity
  /** How many milliseconds the database's clock is ahead of this process's clock. */
  #aheadMs = 0
  #versions: ReadonlyMap<string, readonly StoredVersion[]> = new Map()
  /** The newest refused version of each job. */
  #refused: ReadonlyMap<string, Refused> = new Map()
  /** The versions that were in force at the last check. */
  readonly #used = new Map<string, StoredVersion | undefined>()
  readonly #listeners = new Map<string, Set<() => void>>()
  /** The last acknowledgement of this node for each job, as text. */
  readonly #acked = new Map<string, string>()
  #ackedAs = ''

  constructor(parts: ConfigWatcherParts) {
    super('config-watcher', parts)
    this.#parts = parts
  }

  /** The version in force; undefined if no config was set for the job. */
  inForce(jobId: string): ConfigVersion | undefined {
    return this.#storedInForce(jobId)
  }

  #storedInForce(jobId: string): StoredVersion | undefined {
    const versions = this.#versions.get(jobId)
    // This is checked first, because every run calls this method, and most jobs have no versions.
    if (!versions) return undefined
    const now = this.#parts.clock.now() + this.#aheadMs
    return versions.findLast(({ effectiveFrom }) => effectiveFrom.getTime() <= now)
  }

  /** Calls `listener` when another config of the job is in force. Returns a function that removes it. */
  onChange(jobId: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(jobId) ?? new Set()
    this.#listeners.set(jobId, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#listeners.delete(jobId)
    }
  }

  /** Reads a version that this process has saved, and notifies the other nodes of it. */
  async saved({ jobId, version }: Pick<ConfigVersion, 'jobId' | 'version'>): Promise<void> {
    this.#parts.tell(TOPIC + jobId, version)
    await this.refresh()
    // The next step acknowledges the version.
    this.wake()
  }

  /** Called when another node notifies this one of a version. Returns false if it is not one of a config. */
  told(topic: string, version: number): boolean {
    if (!topic.startsWith(TOPIC)) return false
    if (version > (this.#versions.get(topic.slice(TOPIC.length))?.at(-1)?.version ?? 0)) this.wake()
    return true
  }

  /** Reads the configs again immediately. */
  async refresh(): Promise<void> {
    const { now, mark } = await this.#parts.configs.state()
    this.#aheadMs = now.getTime() - this.#parts.clock.now()
    const isAny = mark !== NO_CONFIGS
    if (mark !== this.#mark || (isAny && this.#parts.clock.monotonic() >= this.#editsAt)) await this.#read(mark)
    this.#tellChanges()
  }

  async #read(mark: string): Promise<void> {
    const before = this.#versions
    const refused = new Map<string, Refused>()
    const { versions: found, broken } = await this.#parts.configs.inForce((one) => this.#isRefused(one, refused))
    const known = new Map<string, readonly StoredVersion[]>(Map.groupBy(found, ({ jobId }) => jobId))
    for (const [jobId, versions] of before) {
      const aside = (one: StoredVersion): boolean => broken.has(one.id) || refused.get(jobId)?.id === one.id
      const used = versions.filter((one) => aside(one) && !found.some(({ id }) => id === one.id))
      // This node uses the content of a row that a person has since made invalid. It keeps that content.
      if (used.length > 0)
        known.set(
          jobId,
          [...(known.get(jobId) ?? []), ...used].sort((one, other) => one.id - other.id),
        )
    }
    this.#versions = known
    const isFirst = this.#isFirst
    this.#isFirst = false
    // Forgets the mark while a row is broken, because correcting the row does not create a new version.
    this.#mark = broken.size > 0 ? '' : mark
    this.#editsAt = this.#parts.clock.monotonic() + EDITS_MS
    this.#tellRefused(refused)
    if (isFirst) return
    for (const [jobId, versions] of this.#versions) {
      const last = versions.at(-1)
      if (!last || isSame(last, before.get(jobId)?.at(-1))) continue
      const { version, effectiveFrom } = last
      this.#parts.events.emit('config.changed', { jobId, version, effectiveFrom })
    }
  }

  /** Whether a version is set aside. Adds it to `refused` if the schema does not accept it. */
  #isRefused(stored: StoredVersion, refused: Map<string, Refused>): boolean {
    const error = this.#problemOf(stored)
    if (!error) return false
    const { id, jobId, version } = stored
    if ((refused.get(jobId)?.version ?? 0) < version) refused.set(jobId, { id, version, text: textOf(stored), error })
    const isReplaceable = this.#versions
      .get(jobId)
      ?.some((used) => !this.#problemOf(used) && (used.id !== id || !isSame(used, stored)))
    return stored.isByHand || isReplaceable === true || isSettings(jobId)
  }

  #problemOf({ jobId, config }: StoredVersion): Error | undefined {
    if (isSettings(jobId)) {
      const read = readLive(config)
      return 'problems' in read
        ? new PikoError('CONFIG_INVALID', problemsText('the settings of nodes', read.problems))
        : undefined
    }
    const job = this.#parts.registry.find(jobId)
    if (!job) return undefined
    try {
      parseConfig(job, config)
      return undefined
    } catch (thrown) {
      return toError(thrown)
    }
  }

  #tellRefused(refused: ReadonlyMap<string, Refused>): void {
    const before = this.#refused
    this.#refused = refused
    for (const [jobId, { version, text, error }] of refused) {
      const known = before.get(jobId)
      if (known?.version === version && known.text === text) continue
      const inForce = this.inForce(jobId)?.version
      this.#parts.events.emit('config.refused', {
        ...{ jobId, version, error },
        inForce: inForce === version && !this.#isKept(jobId) ? undefined : inForce,
      })
    }
  }

  /** Whether the version in force is one that the schema accepts. */
  #isKept(jobId: string): boolean {
    const used = this.#storedInForce(jobId)
    return used !== undefined && !this.#problemOf(used)
  }

  /** The subjects of the settings of this node: those of all nodes, of its host, its own. Later ones take precedence. */
  get #settings(): readonly string[] {
    const { host, nodeId } = this.#parts
    return [NODE_SETTINGS, settingsOf(host), settingsOf(nodeId())].filter((subject) => subject !== undefined)
  }

  #applySettings(): void {
    const { acks, live } = this.#parts
    if (!acks) return
    const inForce = this.#settings.map((subject) => this.#storedInForce(subject)?.config as object | undefined)
    live.apply(Object.assign({}, ...inForce))
  }

  /**
   * Applies the settings, and notifies the listeners of each job whose config has changed: a version was read, or its `effectiveFrom` has
   * passed.
   */
  #tellChanges(): void {
    this.#applySettings()
    for (const jobId of new Set([...this.#versions.keys(), ...this.#used.keys()])) {
      const used = this.#storedInForce(jobId)
      const before = this.#used.get(jobId)
      if (used === before) continue
      this.#used.set(jobId, used)
      if (used && isSame(used, before)) continue
      for (const listener of [...(this.#listeners.get(jobId) ?? [])]) listener()
    }
  }

  /** Reports which versions this node uses, if that has changed. */
  async #acknowledge(): Promise<void> {
    const { acks, nodeId } = this.#parts
    if (!acks) return
    const id = nodeId()
    if (this.#ackedAs !== id) this.#acked.clear()
    this.#ackedAs = id
    const changed = new Map<string, string>()
    const rows: ConfigAck[] = []
    for (const jobId of new Set([...this.#versions.keys(), ...this.#refused.keys()])) {
      const ack = this.#ackOf(jobId)
      const text = JSON.stringify(ack)
      if (this.#acked.get(jobId) === text) continue
      rows.push(ack)
      changed.set(jobId, text)
    }
    if (rows.length === 0) return
    await acks.save(id, rows)
    for (const [jobId, text] of changed) this.#acked.set(jobId, text)
  }

  #ackOf(jobId: string): ConfigAck {
    const isRegistered = isSettings(jobId)
      ? this.#settings.includes(jobId)
      : this.#parts.registry.find(jobId) !== undefined
    const refused = this.#refused.get(jobId)
    return {
      jobId,
      isRegistered,
      version: this.#isKept(jobId) ? this.inForce(jobId)?.version : undefined,
      refused: refused && { version: refused.version, problem: messageOf(refused.error) },
    }
  }

  /** Loads the configs before any run begins. */
  protected override async onStart(): Promise<void> {
    await this.refresh()
    await super.onStart()
  }

  protected override async step(): Promise<number> {
    await this.refresh()
    await this.#acknowledge()
    return this.#parts.live.pollIntervalMs * POLLS
  }
}

/** See `ConfigStore.state`. */
const NO_CONFIGS = '0/0'

function textOf({ config }: ConfigVersion): string {
  return JSON.stringify(config) ?? ''
}

/** The same version with the same content. */
function isSame(one: ConfigVersion, other: ConfigVersion | undefined): boolean {
  if (one === other) return true
  return one.version === other?.version && textOf(one) === textOf(other)
}

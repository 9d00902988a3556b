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

/** How many poll intervals there are between two checks for new configs. */
const POLLS = 2
/** News about configs is sent with this prefix, in the same way as news about shared values. No topic of a shared value has this prefix. */
const TOPIC = '@config/'
/** If a person edits a row in place, the version number does not change. So the current versions are read again after this time. */
const EDITS_MS = 10_000

export interface ConfigWatcherParts extends LoopServiceParts {
  readonly configs: Pick<ConfigStore, 'state' | 'inForce'>
  /** Stores which versions this node uses. Undefined in a process that executes no runs. */
  readonly acks: Pick<ConfigAckStore, 'save'> | undefined
  readonly nodeId: () => string
  readonly host: string
  readonly registry: Pick<JobRegistry, 'find'>
  readonly live: Pick<LiveSettings, 'pollIntervalMs' | 'apply'>
  /** Tells the other nodes about a new version, in the same way as for a shared value. */
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
 * Knows the current config of every job. Each poll sends one short query for all jobs. A message from another node only starts the next
 * poll earlier. The last known config stays in force while the database is unavailable or this service restarts.
 *
 * If the job's schema refuses a version, the one that this node uses stays in force. If a person wrote the refused version into the
 * database, the node uses the last good version before that one. If newer code refuses what older code has saved, no version is good. Then
 * the runs fail, and the error names the version.
 */
export class ConfigWatcher extends LoopService {
  readonly #parts: ConfigWatcherParts
  #mark = ''
  #isFirst = true
  #editsAt = -Infinity
  /** How many milliseconds the database's clock is ahead of this process's clock. */
  #aheadMs = 0
  #versions: ReadonlyMap<string, readonly StoredVersion[]> = new Map()
  /** For each job, the newest version of its config that the schema refuses. */
  #refused: ReadonlyMap<string, Refused> = new Map()
  /** The versions that this node used at the last check. */
  readonly #used = new Map<string, StoredVersion | undefined>()
  readonly #listeners = new Map<string, Set<() => void>>()
  /** The last acknowledgement of this node for each job, as a string. */
  readonly #acked = new Map<string, string>()
  #ackedAs = ''

  constructor(parts: ConfigWatcherParts) {
    super('config-watcher', parts)
    this.#parts = parts
  }

  /** Returns the current version of a job's config; undefined if the job has none. */
  inForce(jobId: string): ConfigVersion | undefined {
    return this.#storedInForce(jobId)
  }

  #storedInForce(jobId: string): StoredVersion | undefined {
    const versions = this.#versions.get(jobId)
    // This check comes first, because every run calls this method and most jobs have no versions.
    if (!versions) return undefined
    const now = this.#parts.clock.now() + this.#aheadMs
    return versions.findLast(({ effectiveFrom }) => effectiveFrom.getTime() <= now)
  }

  /** Calls `listener` when the job gets another config. Returns a function that removes the listener. */
  onChange(jobId: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(jobId) ?? new Set()
    this.#listeners.set(jobId, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#listeners.delete(jobId)
    }
  }

  /** Reads a version that this process has saved, and tells the other nodes about it. */
  async saved({ jobId, version }: Pick<ConfigVersion, 'jobId' | 'version'>): Promise<void> {
    this.#parts.tell(TOPIC + jobId, version)
    await this.refresh()
    // Wakes the loop, because the next step acknowledges the version.
    this.wake()
  }

  /** Reads the configs soon if another node reports a version that is new here. Returns false if the topic does not belong to a config. */
  told(topic: string, version: number): boolean {
    if (!topic.startsWith(TOPIC)) return false
    if (version > (this.#versions.get(topic.slice(TOPIC.length))?.at(-1)?.version ?? 0)) this.wake()
    return true
  }

  /** Checks immediately whether configs have changed, and reads them if so. */
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
      // A person has made the row invalid after this node read it. The node keeps the content that it has read.
      if (used.length > 0)
        known.set(
          jobId,
          [...(known.get(jobId) ?? []), ...used].sort((one, other) => one.id - other.id),
        )
    }
    this.#versions = known
    const isFirst = this.#isFirst
    this.#isFirst = false
    // While a row is invalid, no mark is kept, so that the next poll reads the row again: correcting it creates no new version.
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

  /** Whether a version must not be used. Adds it to `refused` if the schema refuses it. */
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

  /** Whether the schema accepts the current version. */
  #isKept(jobId: string): boolean {
    const used = this.#storedInForce(jobId)
    return used !== undefined && !this.#problemOf(used)
  }

  /** The subjects of this node's settings: all nodes, its host, and the node itself. Later ones take precedence. */
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
   * Applies the settings. Calls the listeners of each job whose config has changed: a new version was read, or its `effectiveFrom` has
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

  /** Stores which versions this node uses, if that has changed. */
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

  /** Loads the configs before the first run begins. */
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

/** The mark of a database without configs, as `ConfigStore.state` returns it. */
const NO_CONFIGS = '0/0'

function textOf({ config }: ConfigVersion): string {
  return JSON.stringify(config) ?? ''
}

/** Whether two versions have the same number and the same content. */
function isSame(one: ConfigVersion, other: ConfigVersion | undefined): boolean {
  if (one === other) return true
  return one.version === other?.version && textOf(one) === textOf(other)
}

import { describe, PikoError } from '../errors.ts'
import { safely } from '../errors-read.ts'
import { changing } from '../engine/refused-changes.ts'
import { nearestName, problemsText } from '../options.ts'
import { type LiveConfig, readLive } from '../settings/live.ts'
import { NODE_SETTINGS, settingsOf } from '../store/jobs/config-store.ts'
import type { NodeLoad } from '../store/nodes/node-facts.ts'
import type { NodeStatus } from '../store/nodes/node-store.ts'
import { type InstantInput, instantOf } from '../time/instant.ts'
import { optionsOf } from './call-options.ts'
import type { Reach } from './reach.ts'

/** A node in the list of nodes. */
export interface ListedNode extends Omit<NodeStatus, 'facts'> {
  /** The version of the live settings for all nodes that this node uses; undefined if none. */
  readonly settingsVersion: number | undefined
  /** The version of the live settings for this node, or for its host, that this node uses; undefined if none. */
  readonly ownSettingsVersion: number | undefined
  /** Whether the node is being drained, so that it begins no further runs. */
  readonly isDraining: boolean
  /** The number of runs that the node has claimed and that have not ended yet. */
  readonly running: number
  /** The version of Piko. This fact and those below are undefined if the node has not reported them. */
  readonly version: string | undefined
  /** The maximum number of runs that the node executes at the same time. */
  readonly slots: number | undefined
  /** How many jobs the node's code has. */
  readonly jobs: number | undefined
  /** The ids of the jobs in the node's code, in order; at most 100. */
  readonly jobIds: readonly string[] | undefined
  /** The processor use (1 is one whole processor) and the memory (in bytes), both rounded and at most about 20 seconds old. */
  readonly load: NodeLoad | undefined
}

/** Which node plans ticks and windows. */
export interface LeaderStatus {
  /** The id of the leader; undefined if there is none now. */
  readonly nodeId: string | undefined
  readonly host: string | undefined
  /** The epoch of the leader. It increases with each change of leader; 0 before the first. */
  readonly epoch: number
  /** When the leader's lease ends if it is not renewed. */
  readonly expiresAt: Date | undefined
}

/** Live settings as they were saved. */
export interface NodeSettings {
  /** The version of the settings; 0 if none were saved. */
  readonly version: number
  readonly settings: LiveConfig
  readonly effectiveFrom: Date | undefined
}

/** Changes to live settings. With null, each node uses the value of its own settings again. */
export type NodeSettingsChange = { readonly [K in keyof LiveConfig]?: LiveConfig[K] | null | undefined }

/** Which nodes the live settings apply to. */
export interface NodeChoice {
  /** A host, or the id of one node. Default: all nodes. */
  readonly on?: string | undefined
}

const LEADER_LOCK = 'leader'

/** `app.nodes`: the processes that share the database. */
export class Nodes {
  readonly #reach: () => Pick<Reach, 'store' | 'configs'>

  constructor(reach: () => Pick<Reach, 'store' | 'configs'>) {
    this.#reach = reach
  }

  /**
   * Lists the nodes that execute runs, oldest first. Each entry shows the node's lease, by the database's clock. A node whose lease has
   * expired is listed until another node has taken over its runs.
   *
   * @throws PikoError `ROW_BROKEN`
   */
  async list(): Promise<ListedNode[]> {
    const { store, configs } = this.#reach()
    const versions = await store.configAcks.settings()
    const nodes = await store.nodes.overview()
    const running = await store.nodes.running()
    await configs.refresh()
    const settings = (subject: string | undefined): LiveConfig =>
      (subject === undefined ? undefined : (configs.inForce(subject)?.config as LiveConfig | undefined)) ?? {}
    return nodes.map(({ facts, ...node }) => {
      const of = (subject = ''): number | undefined => versions.get(node.id)?.get(subject)
      return {
        ...node,
        settingsVersion: of(NODE_SETTINGS),
        ownSettingsVersion: of(settingsOf(node.id)) ?? of(settingsOf(node.host)),
        isDraining:
          {
            ...settings(NODE_SETTINGS),
            ...settings(settingsOf(node.host)),
            ...settings(settingsOf(node.id)),
          }.drained === true,
        running: running.get(node.id) ?? 0,
        ...{
          version: facts?.version,
          slots: facts?.slots,
          jobs: facts?.jobs,
          jobIds: facts?.jobIds,
          load: facts?.load,
        },
      }
    })
  }

  /**
   * Returns which node is the leader: it plans ticks and windows.
   *
   * @throws PikoError `ROW_BROKEN`
   */
  async leader(): Promise<LeaderStatus> {
    const { store } = this.#reach()
    const lease = await store.locks.lease(LEADER_LOCK)
    const owner = lease?.owner
    const node = owner === undefined ? undefined : (await store.nodes.overview()).find(({ id }) => id === owner)
    return { nodeId: owner, host: node?.host, epoch: lease?.fence ?? 0, expiresAt: lease?.expiresAt }
  }

  /**
   * Drains a node, or all nodes of a host: they begin no further runs, but running runs continue and the nodes stay in the list. This takes
   * effect within two polls. {@link resume} ends the drain. The drain of a single node also ends with its process.
   *
   * @param on a host, or the id of a node
   * @throws PikoError `USAGE` if there is no such node, `CHANGE_REFUSED`
   */
  async drain(on: string): Promise<NodeSettings> {
    return this.#set({ drained: true }, { on })
  }

  /**
   * Ends the drain that `drain` began with the same `on`: the node, or the nodes of the host, begin runs again. A node whose host is also
   * drained stays drained until the drain of the host ends, and the other way round.
   *
   * @throws PikoError `USAGE` if there is no such node, `CHANGE_REFUSED`
   */
  async resume(on: string): Promise<NodeSettings> {
    return this.#set({ drained: null }, { on })
  }

  /**
   * Returns the live settings for all nodes. They take precedence over a node's own settings. With `on`, returns those for one host or
   * node, which take precedence over both.
   *
   * @throws PikoError `USAGE`
   */
  async settings(choice: NodeChoice = {}): Promise<NodeSettings> {
    const { configs } = this.#reach()
    const subject = await this.#subject('nodes.settings', optionsOf('nodes.settings', choice).on)
    await configs.refresh()
    const { version = 0, config = {}, effectiveFrom } = configs.inForce(subject) ?? {}
    return { version, settings: config as LiveConfig, effectiveFrom }
  }

  /**
   * Changes the log level, the number of slots or the poll interval without a restart, on all nodes or, with `on`, on one host or node.
   * Takes effect within two polls. Settings for all nodes or for a host survive restarts; those of one node end with its process. A setting
   * that is left out is unchanged.
   *
   * @throws PikoError `USAGE` naming everything that is wrong, `CHANGE_REFUSED`
   * @example
   * await app.nodes.set({ log_level: 'debug', concurrency: 20 })
   * await app.nodes.set({ log_level: 'trace' }, { on: 'worker-3' })
   * await app.nodes.set({ log_level: null })
   */
  async set(
    changes: NodeSettingsChange,
    options: NodeChoice & { readonly effectiveFrom?: InstantInput } = {},
  ): Promise<NodeSettings> {
    return this.#set(changes, options)
  }

  async #set(
    changes: NodeSettingsChange,
    options: NodeChoice & { readonly effectiveFrom?: InstantInput },
  ): Promise<NodeSettings> {
    const { store, configs } = this.#reach()
    const { effectiveFrom: from, on } = optionsOf('nodes.set', options)
    const at = from === undefined ? undefined : instantOf('effectiveFrom', from)
    merged({}, changes) // Wrong changes are refused before the first query.
    const subject = await this.#subject('nodes.set', on)
    const change = (newest: readonly unknown[]): object =>
      merged(newest.find((one) => !('problems' in readLive(one))) as object | undefined, changes)
    const saved = await changing('the settings of nodes', 'piko_job_config', () =>
      store.configs.change(subject, change, at),
    )
    await configs.saved(saved)
    const { version, config, effectiveFrom } = saved
    return { version, settings: config as LiveConfig, effectiveFrom }
  }

  /**
   * Returns the subject under which the settings are stored: all nodes, a host or a node.
   *
   * @throws PikoError `USAGE` if there is no such node or host, and no stored settings for it
   */
  async #subject(call: string, on: string | undefined): Promise<string> {
    if (on === undefined) return NODE_SETTINGS
    const { store, configs } = this.#reach()
    const subject = settingsOf(on)
    const nodes = await store.nodes.overview()
    const names = [...new Set(nodes.flatMap(({ id, host }) => [host, id]))]
    if (subject !== undefined && (names.includes(on) || configs.inForce(subject))) return subject
    const nearest = nearestName(on, names)
    const hint = nearest === undefined ? 'piko nodes list shows them' : `did you mean ${describe(nearest)}?`
    throw new PikoError('USAGE', `app.${call}: no node has the id or the host ${describe(on)}; ${hint}`, {
      details: { on },
    })
  }
}

/** Returns the settings with the changes. @throws PikoError `USAGE` naming everything that is wrong with the changes */
function merged(before: object | undefined, changes: NodeSettingsChange): object {
  const isTable = typeof changes === 'object' && changes !== null
  const given = safely(() => ({ ...changes }), undefined)
  if (!given) throw new PikoError('USAGE', `app.nodes.set got ${describe(changes)}, which can't be read`)
  const set = Object.entries({ ...before, ...given }).filter(([, value]) => value !== null && value !== undefined)
  const after = Object.fromEntries(set)
  const read = readLive(isTable ? after : changes)
  if (!('problems' in read)) return after
  const { problems } = read
  throw new PikoError('USAGE', problemsText('app.nodes.set', problems), { details: { problems } })
}

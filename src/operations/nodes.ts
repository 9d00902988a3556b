import { PikoError } from '../errors.ts'
import { changing } from '../engine/refused-changes.ts'
import { problemsText } from '../options.ts'
import { type LiveConfig, readLive } from '../settings/live.ts'
import { NODE_SETTINGS } from '../store/jobs/config-store.ts'
import type { NodeStatus } from '../store/nodes/node-store.ts'
import { type InstantInput, instantOf } from '../time/instant.ts'
import { optionsOf } from './call-options.ts'
import type { Reach } from './reach.ts'

/** A node as listed. */
export interface ListedNode extends NodeStatus {
  /** The version of the live settings that it uses; undefined if it uses none. */
  readonly settingsVersion: number | undefined
}

/** The live settings of all nodes, as saved. */
export interface NodeSettings {
  /** 0 if none were saved. */
  readonly version: number
  readonly settings: LiveConfig
  readonly effectiveFrom: Date | undefined
}

/** Changes of live settings. Null: each node uses the value of its own settings again. */
export type NodeSettingsChange = { readonly [K in keyof LiveConfig]?: LiveConfig[K] | null }

/** The processes that share the database: `app.nodes`. */
export class Nodes {
  readonly #reach: () => Pick<Reach, 'store' | 'configs'>

  constructor(reach: () => Pick<Reach, 'store' | 'configs'>) {
    this.#reach = reach
  }

  /**
   * Nodes that execute runs, oldest first, each with its lease on the database's clock. A node whose lease has expired is listed until
   * another node has taken over its runs.
   *
   * @throws PikoError `ROW_BROKEN`
   */
  async list(): Promise<ListedNode[]> {
    const { store } = this.#reach()
    const versions = await store.configAcks.byNode(NODE_SETTINGS)
    const nodes = await store.nodes.overview()
    return nodes.map((node) => ({ ...node, settingsVersion: versions.get(node.id) }))
  }

  /** The live settings that all nodes share, over the settings of each. */
  async settings(): Promise<NodeSettings> {
    const { configs } = this.#reach()
    await configs.refresh()
    const { version = 0, config = {}, effectiveFrom } = configs.inForce(NODE_SETTINGS) ?? {}
    return { version, settings: config as LiveConfig, effectiveFrom }
  }

  /**
   * Changes the log level, the number of slots or the poll interval of all nodes, without a restart. Takes effect within two polls and
   * survives restarts. A setting that is left out stays as it is.
   *
   * @throws PikoError `USAGE` naming everything that is wrong
   * @example
   * await app.nodes.set({ log_level: 'debug', concurrency: 20 })
   * await app.nodes.set({ log_level: null })
   */
  async set(
    changes: NodeSettingsChange,
    options: { readonly effectiveFrom?: InstantInput } = {},
  ): Promise<NodeSettings> {
    const { store, configs } = this.#reach()
    const { effectiveFrom: from } = optionsOf('nodes.set', options)
    const { settings } = await this.settings()
    const merged = Object.entries({ ...settings, ...changes }).filter(
      ([, value]) => value !== null && value !== undefined,
    )
    const read = readLive(changes === null || typeof changes !== 'object' ? changes : Object.fromEntries(merged))
    if ('problems' in read) {
      const { problems } = read
      throw new PikoError('USAGE', problemsText('app.nodes.set', problems), { details: { problems } })
    }
    const at = from === undefined ? undefined : instantOf('effectiveFrom', from)
    const { version, config, effectiveFrom } = await changing('the settings of nodes', 'piko_job_config', () =>
      store.configs.save(NODE_SETTINGS, Object.fromEntries(merged), at),
    )
    await configs.refresh()
    return { version, settings: config as LiveConfig, effectiveFrom }
  }
}

import { setTimeout as sleep } from 'node:timers/promises'
import { type JobDefinition, Piko } from 'piko'
import { type FixtureGraph, type FixtureSite, fixtureSite, type FixtureSiteOptions } from 'piko/testing'
import type { SettingsOverrides } from '../../src/settings/settings.ts'
import type { StoreName } from '../harness/contestants.ts'
import { LineNode } from './line-node.ts'

const POLL_MS = 50
/** Only a hang takes this long. */
const PATIENCE_MS = 900_000

/** Where a line is checked: an empty store, and what the check starts on it. All of it ends with the scene. */
export class Scene<Options> implements AsyncDisposable {
  readonly store: StoreName
  readonly #module: string
  readonly #crawl: (options: Options) => JobDefinition
  readonly #place: SettingsOverrides
  readonly #stack = new AsyncDisposableStack()
  readonly #say: (text: string) => void

  constructor(parts: {
    readonly store: StoreName
    readonly module: string
    readonly crawl: (options: Options) => JobDefinition
    readonly place: SettingsOverrides
    readonly say: (text: string) => void
  }) {
    this.store = parts.store
    this.#module = parts.module
    this.#crawl = parts.crawl
    this.#place = parts.place
    this.#say = parts.say
  }

  /** Nodes of a check that kills or suspends one of them: with an embedded file, that one is alone. */
  count(nodes: number): number {
    return this.store === 'sqlite' ? 1 : nodes
  }

  /** Shows how far the check is. */
  say(text: string): void {
    this.#say(text)
  }

  /** A node that works on the crawl. */
  async node(
    options: Options,
    more: { readonly blockMs?: number; readonly logLevel?: string } = {},
  ): Promise<LineNode> {
    const { blockMs = 0, logLevel = 'warn' } = more
    const settings = { ...this.#place, piko: { log_level: logLevel } }
    return this.#stack.use(new LineNode({ module: this.#module, options, settings, blockMs })).started()
  }

  /** Several nodes. */
  nodes(count: number, options: Options, logLevel?: string): Promise<LineNode[]> {
    const more = logLevel === undefined ? {} : { logLevel }
    return Promise.all(Array.from({ length: count }, () => this.node(options, more)))
  }

  /** An app that asks and runs nothing. */
  async client(options: Options): Promise<Piko> {
    const settings = { ...this.#place, piko: { log_level: 'silent' } }
    const app = this.#stack.use(new Piko({ jobs: this.#crawl(options), execute: false, settings }))
    await app.start()
    return app
  }

  /** A web server that counts. */
  async site(graph: FixtureGraph, options?: FixtureSiteOptions): Promise<FixtureSite> {
    return this.#stack.use(await fixtureSite(graph, options))
  }

  /** Ends something with the scene. */
  defer(end: () => unknown): void {
    this.#stack.defer(async () => void (await end()))
  }

  /** Resolves once the condition holds. */
  async until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
    for (const deadline = performance.now() + PATIENCE_MS; !(await holds()); await sleep(POLL_MS))
      if (performance.now() > deadline) throw new Error(`not within ${PATIENCE_MS / 60_000} minutes: ${what}`)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}

/** The number that a query counts, in a column `n`. */
export async function counted(app: Piko, query: string, params: readonly (string | number)[] = []): Promise<number> {
  const [row] = await app.sql.query<{ n: number }>(query, params)
  return Number(row?.n ?? 0)
}

/** The most instants within a span of this length. */
export function fullest(instants: readonly number[], spanMs: number): number {
  const sorted = instants.toSorted((one, other) => one - other)
  let [most, from] = [0, 0]
  for (const [to, at] of sorted.entries()) {
    while (at - (sorted[from] ?? at) >= spanMs) from += 1
    most = Math.max(most, to - from + 1)
  }
  return most
}

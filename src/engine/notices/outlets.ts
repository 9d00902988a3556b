import type { JobRegistry } from '../../job/registry.ts'
import { APP_CHANNEL, type Channel, notifierChannel } from '../../notice/channels.ts'
import {
  HOOK_KINDS,
  HOOK_OF,
  type Notice,
  type NoticeContext,
  type NoticeHooks,
  type Notifier,
} from '../../notice/notice.ts'

export interface OutletParts {
  readonly registry: Pick<JobRegistry, 'find'>
  /** The hooks of the app. */
  readonly hooks: NoticeHooks
  readonly notifiers: readonly Notifier[]
}

type Deliver = (notice: Notice, context: NoticeContext) => unknown

/** How this process notifies people: through the hooks of the app, the notifiers, and the hooks of its jobs. */
export class Outlets {
  readonly #parts: OutletParts
  readonly #notifiers: ReadonlyMap<string, Notifier>
  /**
   * The channels that every process knows: the hooks of the app and the notifiers. Hooks of jobs are not included, because another node may
   * have their code.
   */
  readonly channels: readonly Channel[]

  constructor(parts: OutletParts) {
    this.#parts = parts
    this.#notifiers = new Map(parts.notifiers.map((notifier) => [notifierChannel(notifier.name), notifier]))
    const own = HOOK_KINDS.filter((kind) => parts.hooks[HOOK_OF[kind]])
    this.channels = [
      ...(own.length > 0 ? [{ name: APP_CHANNEL, on: own }] : []),
      ...[...this.#notifiers].map(([name, { on = HOOK_KINDS, jobs }]) => ({ name, on, jobs })),
    ]
  }

  get notifiers(): readonly Notifier[] {
    return this.#parts.notifiers
  }

  /** Returns the function that delivers to a channel; undefined if this process does not know the channel. */
  find(channel: string, kind: Notice['kind']): Deliver | undefined {
    const notifier = this.#notifiers.get(channel)
    if (notifier) return (notice, context) => notifier.send(notice, context)
    if (kind === 'test') return undefined
    if (channel === APP_CHANNEL) return this.#parts.hooks[HOOK_OF[kind]]
    return channel.startsWith('job:')
      ? this.#parts.registry.find(channel.slice('job:'.length))?.policy.hooks[HOOK_OF[kind]]
      : undefined
  }
}

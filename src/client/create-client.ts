import type { LiveEvent, LiveSignal } from '../live/live-event.ts'
import type { Nouns } from './client-types.ts'
import { follow, type FollowOptions } from './follow.ts'
import type { Operation } from './operation.ts'
import { OPERATIONS } from './operations.ts'
import { followRun, type RunFollowOptions, type RunNews } from './run-follow.ts'
import { type ClientOptions, Transport } from './transport.ts'

/** A client of one node: the operations of the HTTP API except sessions, by noun and verb, and the events of the fleet. */
export type Client = Nouns & {
  readonly runs: {
    /** Follows a run until it has ended; see {@link followRun}. */
    follow(input: { readonly runId: number } & RunFollowOptions): AsyncGenerator<RunNews, void, undefined>
  }
  /** Follows the events; see {@link follow}. */
  events(options?: FollowOptions): AsyncGenerator<LiveEvent | LiveSignal, void, undefined>
}

type Caller = (input?: Readonly<Record<string, unknown>>, options?: object) => Promise<unknown>

/**
 * Creates a client of a node's HTTP API. Works in Node and in browsers, without dependencies.
 *
 * @throws PikoError `USAGE` for a wrong address or an unknown option
 */
export function createClient(options: ClientOptions): Client {
  const transport = new Transport(options)
  const nouns: Record<string, Record<string, Caller>> = {}
  for (const [id, operation] of Object.entries<Operation>(OPERATIONS)) {
    const [noun = '', verb = ''] = id.split('.')
    const verbs = (nouns[noun] ??= {})
    verbs[verb] = (input = {}, call = {}) => transport.call(operation, input, call)
  }
  const events = (given: FollowOptions = {}): AsyncGenerator<LiveEvent | LiveSignal, void, undefined> =>
    follow(transport, given)
  const runs = {
    ...nouns['runs'],
    follow: ({ runId, ...given }: { readonly runId: number } & RunFollowOptions) => followRun(transport, runId, given),
  }
  return { ...nouns, runs, events } as unknown as Client
}

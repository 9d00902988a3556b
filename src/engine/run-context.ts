import { type JobContext, type Logger } from '../job/context.ts'
import { type Claim } from '../job/run.ts'
import { type ResourceMap } from '../resource/resource.ts'
import { type SinkMap } from '../sink/sink.ts'
import { type Window } from '../time/window.ts'
import { fanOut } from './fan-out.ts'

/** What a context is made of. The maps are erased here: the spec has typed them for the handler. */
export interface RunContextParts {
  readonly claim: Claim
  readonly config: unknown
  readonly resources: Readonly<Record<string, unknown>>
  readonly sinks: Readonly<Record<string, unknown>>
  readonly signal: AbortSignal
  readonly log: Logger
  readonly commit: JobContext['commit']
  readonly lock: JobContext['lock']
  readonly onProgress: (done: number, total: number | undefined, message: string | undefined) => void
}

/** The context that handlers receive. */
export class RunContext implements JobContext<ResourceMap, unknown, SinkMap> {
  readonly runId: number
  readonly jobId: string
  readonly attempt: number
  readonly fence: number
  readonly scheduledTime: Date
  readonly window: Window | undefined
  readonly config: unknown
  readonly input: unknown
  readonly resources: JobContext<ResourceMap, unknown, SinkMap>['resources']
  readonly sinks: JobContext<ResourceMap, unknown, SinkMap>['sinks']
  readonly signal: AbortSignal
  readonly log: Logger
  // Bound: handlers destructure their context.
  readonly progress: JobContext['progress']
  readonly map: JobContext['map']
  readonly commit: JobContext['commit']
  readonly lock: JobContext['lock']

  constructor(parts: RunContextParts) {
    const { claim } = parts
    this.runId = claim.runId
    this.jobId = claim.jobId
    this.attempt = claim.attempt
    this.fence = claim.fence
    this.scheduledTime = claim.tick ?? claim.runAt
    this.window = claim.window
    this.config = parts.config
    this.input = claim.input
    this.resources = parts.resources as this['resources']
    this.sinks = parts.sinks as this['sinks']
    this.signal = parts.signal
    this.log = parts.log
    this.map = (items, fn, options = {}) => fanOut(items, fn, options.concurrency ?? 8, parts.signal)
    this.commit = parts.commit
    this.lock = parts.lock
    this.progress = (done, total, message) => parts.onProgress(done, total, message)
  }
}

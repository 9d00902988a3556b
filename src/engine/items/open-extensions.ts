import { messageOf } from '../../errors-read.ts'
import { PikoError, toError } from '../../errors.ts'
import type { JobDefinition } from '../../job/spec.ts'
import { Closing } from '../../service/closing.ts'
import { Service } from '../../service/service.ts'

/** The time limit for closing all fetchers, in milliseconds. */
const MAX_CLOSE_MS = 5_000

/** Keeps the fetchers of crawls open while pages may run, and closes them when the app stops. */
export class OpenExtensions extends Service {
  readonly #jobs: readonly JobDefinition[]
  #opened: { readonly jobId: string; readonly close: () => Promise<void> }[] = []

  constructor(jobs: Iterable<JobDefinition>) {
    super({ name: 'crawls' })
    this.#jobs = [...jobs].filter(({ extension }) => extension)
  }

  protected override onStart(): void {
    this.#opened = this.#jobs.flatMap(({ id, extension }) =>
      extension ? [{ jobId: id, close: extension.keepOpen() }] : [],
    )
  }

  /**
   * Closes all fetchers. Continues if some fail or hang.
   *
   * @throws PikoError `CRAWL_FAILED`
   */
  protected override async onStop(): Promise<void> {
    const opened = this.#opened.splice(0)
    const closing = new Closing(MAX_CLOSE_MS)
    const closed = await Promise.allSettled(opened.map(({ close }) => closing.within(close)))
    closing.end()
    const failures = closed.flatMap((one, index) =>
      one.status === 'rejected' ? [{ jobId: opened[index]?.jobId, cause: toError(one.reason as unknown) }] : [],
    )
    const [first] = failures
    if (!first) return
    const problems = failures.map(({ jobId, cause }) => `crawl "${jobId}": ${messageOf(cause)}`)
    throw new PikoError('CRAWL_FAILED', `downloaders of crawls could not be closed: ${problems.join('; ')}`, {
      cause: first.cause,
      details: { jobIds: failures.map(({ jobId }) => jobId) },
    })
  }
}

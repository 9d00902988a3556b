import type { z } from 'zod'
import type { runNews } from '../api/nouns/run-follow.ts'
import { TERMINAL_STATES } from '../run/run.ts'
import type { RunLogLevel } from '../run/run-log.ts'
import type { PikoError } from './client-error.ts'
import { assertKnown } from './known-options.ts'
import { eventStream, lostBy, pause, pauseMs, queryOf } from './event-stream.ts'
import type { Transport } from './transport.ts'

export interface RunFollowOptions {
  /** Selects only log lines of this level or a higher one. Default: all. */
  readonly level?: RunLogLevel | undefined
  /** The id of the last log line that you have. Default: all lines. */
  readonly after?: number | undefined
  /** Aborting this signal ends the iteration. */
  readonly signal?: AbortSignal | undefined
  /** Called with the error each time a connection fails, before the client reconnects. Not called if the server ends a stream. */
  readonly onDisconnect?: (error: PikoError) => void
}

/** An event of a followed run. Instants are ISO 8601 strings. */
export type RunNews = z.output<typeof runNews>

/**
 * Follows a run until it has ended: log lines, progress and states. If the connection is lost, the client reconnects and continues after
 * the last line, so no line is lost or repeated.
 *
 * @throws PikoError if the server refuses the request, for example with `RUN_UNKNOWN`
 */
export async function* followRun(
  transport: Transport,
  runId: number,
  options: RunFollowOptions = {},
): AsyncGenerator<RunNews, void, undefined> {
  assertKnown('runs.follow', options, ['level', 'after', 'signal', 'onDisconnect'])
  const { level, after, signal, onDisconnect } = options
  const path = `/runs/${encodeURIComponent(runId)}/follow${queryOf({ level })}`
  let last = after
  // The last known state. A new connection sends it again, and the caller must not see it twice.
  let known = ''
  for (let failures = 1; !signal?.aborted; failures += 1) {
    try {
      for await (const { data } of eventStream(transport, path, last, signal)) {
        failures = 1
        if (data === '') continue
        const news = JSON.parse(data) as RunNews
        if (news.kind === 'line') last = news.line.id
        else if (data === known) continue
        if (news.kind === 'state') known = data
        yield news
        if (news.kind === 'state' && TERMINAL_STATES.has(news.state)) return
      }
    } catch (thrown) {
      if (signal?.aborted) return
      const error = lostBy(thrown)
      onDisconnect?.(error)
    }
    await pause(pauseMs(failures), signal)
  }
}

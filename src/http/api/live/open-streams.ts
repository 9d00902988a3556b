import type { ServerResponse } from 'node:http'
import type { Actor } from '../../../access/actor.ts'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** How often the token of a reader is checked again. */
const RECHECK_MS = 30_000

/** The streams of server-sent events that a server has open. They end when it stops. */
export class OpenStreams {
  readonly #open = new Set<() => void>()

  constructor(server: FastifyInstance) {
    server.addHook('preClose', (done) => {
      for (const close of this.#open) close()
      done()
    })
  }

  /**
   * Answers a request with a stream, and ends the answer when `write` has ended.
   *
   * @param close makes `write` end; called when the server stops, when the reader's token can't be verified any more or has other rights, and after
   *   `write`
   */
  async serve(
    request: FastifyRequest,
    reply: FastifyReply,
    close: () => void,
    write: (raw: ServerResponse) => Promise<void>,
  ): Promise<void> {
    this.#open.add(close)
    const rights = rightsOf(request.actor)
    const recheck = setInterval(
      () => void request.authenticate().then((actor) => rightsOf(actor) === rights || close(), close),
      RECHECK_MS,
    )
    void reply.hijack()
    const { raw } = reply
    raw.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
      ...(request.raw.httpVersion === '1.1' && { connection: 'keep-alive' }),
    })
    raw.flushHeaders()
    try {
      await write(raw)
    } finally {
      clearInterval(recheck)
      this.#open.delete(close)
      close()
      raw.destroy()
    }
  }
}

/** The role and jobs of an actor. They decide what a stream contains. */
function rightsOf({ role, jobs }: Actor): string {
  return JSON.stringify([role, jobs])
}

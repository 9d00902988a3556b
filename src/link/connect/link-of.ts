import { Duplex } from 'node:stream'
import { isError } from '../../errors-read.ts'
import { Connection } from '../carrier/connection.ts'
import { Link } from '../link.ts'
import { limitsOf, linkCall, type LinkOptions } from '../link-options.ts'
import { aFunction, expecting, oneOf, problemsText, readOptions } from '../../options.ts'
import { PikoError } from '../../errors.ts'
import type { RouteTable } from '../routes/table.ts'
import type { Role } from '../wire/preface.ts'
import { nodeIdOf } from './node-id.ts'

export interface LinkOfOptions extends LinkOptions {
  /** One end must have the role `dial`, and the other `listen`. Apart from that, both ends behave the same. */
  readonly role: Role
}

const aDuplex = expecting(
  'a Duplex of bytes, such as a socket',
  (value) => value instanceof Duplex && !value.readableObjectMode && !value.writableObjectMode,
)

/**
 * Creates a link over any stream of bytes: a socket, a serial line, a child process, a WebSocket wrapped by `createWebSocketStream`. Calls
 * wait until the handshake has ended. The link destroys the stream when it closes.
 *
 * @throws PikoError `USAGE` that names every wrong option
 * @example const link = linkOf(socket, { role: 'dial', routes: [users] })
 */
export function linkOf(duplex: Duplex, options: LinkOfOptions): Link {
  const problem = aDuplex(duplex)
  if (problem !== undefined) throw new PikoError('USAGE', `linkOf: the stream ${problem}`)
  return linkOver(duplex, linkCall('linkOf', options, { role: oneOf('dial', 'listen') }, "{ role: 'dial' }", ['role']))
}

/**
 * Like {@link linkOf}, with checked options.
 *
 * @param own.table the routes, if several links share them
 * @param own.ownsChunks whether only this link uses the chunks of the stream
 */
export function linkOver(
  duplex: Duplex,
  options: LinkOfOptions,
  { table, ownsChunks = false }: { readonly table?: RouteTable; readonly ownsChunks?: boolean } = {},
): Link {
  const link = new Link(options, table)
  link.attach(
    (events) =>
      new Connection(
        {
          duplex,
          ownsChunks,
          role: options.role,
          limits: limitsOf(options),
          secret: options.secret,
          nodeId: nodeIdOf(options.nodeId),
        },
        events,
      ),
  )
  return link
}

/** A transport in the form of two functions. */
export interface Pipe {
  /** Returns the next bytes, as many as there are; null or undefined at the end. */
  readonly read: () => Promise<Uint8Array | null | undefined> | Uint8Array | null | undefined
  /** Resolves when more bytes may be written. */
  readonly write: (bytes: Buffer) => unknown
  readonly close?: () => unknown
}

/**
 * Creates a stream from two functions, for {@link linkOf}.
 *
 * @throws PikoError `USAGE` that names every wrong option
 */
export function duplexFrom(pipe: Pipe): Duplex {
  const { options, problems } = readOptions<Pipe>(
    pipe,
    { read: aFunction, write: aFunction, close: aFunction },
    '{ read: () => port.read(), write: (bytes) => port.write(bytes) }',
    ['read', 'write'],
  )
  const { read, write, close } = options
  if (!read || !write || problems.length > 0)
    throw new PikoError('USAGE', problemsText('duplexFrom', problems), { details: { problems } })
  return new Duplex({
    read() {
      void settle(
        async () => {
          const bytes = await read()
          // An empty array does not mean the end; a pipe may return one at any time.
          if (!bytes) this.push(null)
          else if (bytes.length > 0) this.push(bytes)
          else setImmediate(() => this._read(0))
        },
        (error) => void (error && this.destroy(error)),
      )
    },
    write(bytes: Buffer, _encoding, callback) {
      void settle(() => write(bytes), callback)
    },
    destroy(error, callback) {
      void settle(
        () => close?.(),
        (failure) => callback(failure ?? error),
      )
    },
  })
}

async function settle(call: () => unknown, callback: (error?: Error | null) => void): Promise<void> {
  try {
    await call()
  } catch (error) {
    return callback(isError(error) ? error : new Error(String(error)))
  }
  callback(null)
}

import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { NodeProcess } from '../harness/node-process.ts'
import type { Found } from '../harness/rounds.ts'
import { GIGABYTE } from './file.ts'
import { ABOUT, bulk } from './measures.ts'

/** The memory of a process that pipes 1 GB from a socket into a file, without a link: what Node itself needs for it. */
export default async function plainFile(): Promise<Found> {
  await using peer = await NodeProcess.start(new URL('file-peer.ts', import.meta.url), ['plain'], { isLean: true })
  const socket = connect({ port: Number(await peer.told('port')), host: '127.0.0.1', allowHalfOpen: true })
  for (const piece of bulk(GIGABYTE)) if (!socket.write(piece)) await once(socket, 'drain')
  socket.end()
  const { before, rss } = JSON.parse(await text(socket)) as { before: number; rss: number }
  return {
    about: ABOUT,
    values: {
      'peak RSS while receiving 1 GB': { value: rss / 1_000_000, unit: 'MB' },
      'RSS before the upload': { value: before / 1_000_000, unit: 'MB' },
    },
  }
}

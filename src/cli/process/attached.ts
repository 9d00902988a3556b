import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { dial } from '../../link/connect/dial.ts'

/** Sends the request of `piko attach` to a running process. */
export async function attached(
  path: string,
  {
    what,
    logLevel,
    heap,
  }: { readonly what: string; readonly logLevel: string | undefined; readonly heap: string | undefined },
): Promise<unknown> {
  await using link = await dial({ url: `piko+unix:${path}` })
  // The results are awaited here, because the link closes when this function returns.
  if (logLevel !== undefined) return await link.call('/attach/log-level', { level: logLevel })
  if (heap === undefined) return await link.call(`/attach/${what}`)
  const reply = await link.open('/attach/heap')
  // Only this user may read the file, because a heap snapshot contains all data of the process.
  const file = createWriteStream(heap, { mode: 0o600, flags: 'wx' })
  await pipeline(reply.stream(), file)
  return { heap, bytes: file.bytesWritten }
}

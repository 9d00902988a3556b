import { type FileHandle, open, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { messageOf } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import { dial } from '../../link/connect/dial.ts'
import type { Link } from '../../link/link.ts'

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
  return await heapTo(heap, link)
}

/** Writes a snapshot of the heap to a new file. If that fails, no file remains. */
async function heapTo(path: string, link: Link): Promise<{ readonly heap: string; readonly bytes: number }> {
  // The file is created first, because the process pauses while it makes the snapshot.
  const file = await created(path)
  try {
    const reply = await link.open('/attach/heap')
    const to = file.createWriteStream()
    await pipeline(reply.stream(), to)
    return { heap: path, bytes: to.bytesWritten }
  } catch (error) {
    await rm(path, { force: true })
    throw error
  }
}

/** Only this user may read the file, because a heap snapshot contains all data of the process. */
async function created(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600)
  } catch (cause) {
    const message = `the heap snapshot can't be written to ${path}: ${messageOf(cause)}; name a new file in a folder that you may write`
    throw new PikoError('USAGE', message, { cause })
  }
}

import type { OutgoingMessage } from '../carrier/carrier.ts'
import type { ReplyEnd } from '../wire/head.ts'

/**
 * Sends all chunks of a source. Reads the next one only when there is room.
 *
 * @param failed returns the content of the end if the source fails
 */
export async function pump(
  source: AsyncIterable<Buffer>,
  out: OutgoingMessage,
  failed: (error: unknown) => Promise<ReplyEnd>,
): Promise<void> {
  let isSending = false
  try {
    for await (const chunk of source) {
      isSending = true
      if (chunk.length > 0) await out.write(chunk)
      isSending = false
    }
    out.end()
  } catch (error) {
    // A failed write reports its error to its own caller.
    if (!isSending && !out.isOver) out.end(await failed(error))
  }
}

import type { OutgoingMessage } from '../carrier/carrier.ts'
import type { ReplyEnd } from '../wire/head.ts'

/**
 * Sends all chunks of a source. Reads the next chunk only when there is room for it.
 *
 * @param failed returns what to send as the end of the message if the source fails
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
    // A failed write is not handled here, because its own caller gets the error.
    if (!isSending && !out.isOver) out.end(await failed(error))
  }
}

import type { CDPSession } from 'playwright-core'
import { tooLarge } from '../../http-client/read-all.ts'

/**
 * The HTML of a page, which the browser measures before this process receives it.
 *
 * @param frameId of its main frame
 * @throws TooLarge, an error of the browser
 */
export async function htmlOf(cdp: CDPSession, frameId: string, maxBytes: number): Promise<Buffer> {
  // The scripts of the page can't replace what a world of its own calls.
  const { executionContextId } = await cdp.send('Page.createIsolatedWorld', { frameId, worldName: 'piko' })
  const { result, exceptionDetails } = await cdp.send('Runtime.evaluate', {
    contextId: executionContextId,
    returnByValue: true,
    expression: htmlWithin(maxBytes),
  })
  if (exceptionDetails) throw new Error(`the HTML of the page can't be read: ${exceptionDetails.text}`)
  if (typeof result.value !== 'string') throw tooLarge(maxBytes)
  const html = Buffer.from(result.value)
  if (html.byteLength > maxBytes) throw tooLarge(maxBytes)
  return html
}

/** A script whose value is the document's HTML, or false if that is longer. */
function htmlWithin(maxChars: number): string {
  return `(() => {
    try {
      const type = document.doctype ? new XMLSerializer().serializeToString(document.doctype) : ''
      const html = type + (document.documentElement ? document.documentElement.outerHTML : '')
      return html.length <= ${maxChars} && html
    } catch (error) {
      // No text of the engine is that long.
      if (error instanceof RangeError) return false
      throw error
    }
  })()`
}

/**
 * Calls `excess` as soon as a document of the page's main frame is larger than the limit: the browser would keep it whole, and hand it over.
 */
export async function limitDocuments(
  cdp: CDPSession,
  frameId: string,
  maxBytes: number,
  excess: (error: Error) => void,
): Promise<void> {
  let documentId: string | undefined
  let bytes = 0
  cdp.on('Network.responseReceived', ({ requestId, type, frameId: frame }) => {
    if (type !== 'Document' || frame !== frameId) return
    documentId = requestId
    bytes = 0
  })
  cdp.on('Network.dataReceived', ({ requestId, dataLength }) => {
    if (requestId !== documentId) return
    bytes += dataLength
    if (bytes > maxBytes) excess(tooLarge(maxBytes))
  })
  // This session reads no bodies, so it keeps none.
  await cdp.send('Network.enable', { maxTotalBufferSize: 0, maxResourceBufferSize: 0 })
}

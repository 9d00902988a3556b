import type { CDPSession } from 'playwright-core'
import { tooLarge } from '../../http-client/read-all.ts'

/**
 * Returns the HTML of a page. The browser checks the length before it sends the HTML to this process.
 *
 * @param frameId the id of the page's main frame
 * @throws TooLarge, or an error of the browser
 */
export async function htmlOf(cdp: CDPSession, frameId: string, maxBytes: number): Promise<Buffer> {
  // In an isolated world, the page's own scripts can't replace the functions that are called here.
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

/** Returns a script for the browser. Its value is the document's HTML, or false if the HTML is too long. */
function htmlWithin(maxChars: number): string {
  return `(() => {
    try {
      const type = document.doctype ? new XMLSerializer().serializeToString(document.doctype) : ''
      const html = type + (document.documentElement ? document.documentElement.outerHTML : '')
      return html.length <= ${maxChars} && html
    } catch (error) {
      // The HTML is longer than any string can be.
      if (error instanceof RangeError) return false
      throw error
    }
  })()`
}

/**
 * Calls `excess` as soon as a document of the page's main frame is larger than the limit. Otherwise the browser would load the whole
 * document.
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
  // The browser need not keep bodies in memory, because this session does not read them.
  await cdp.send('Network.enable', { maxTotalBufferSize: 0, maxResourceBufferSize: 0 })
}

/** The maximum number of characters of a response that an error message shows. */
const MAX_SHOWN = 200

/**
 * Sends a body over HTTP.
 *
 * @throws an error with the status and the beginning of the response, unless the status is 2xx
 */
export async function post(
  url: string,
  body: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const response = await sent(url, body, headers, signal)
  // The receiver has accepted the body, so the rest of the response is not read. An error while reading it would cause the notice to be
  // sent again.
  if (response.ok) return response.body?.cancel()
  const shown = (await beginningOf(response)).trim().slice(0, MAX_SHOWN)
  // The error message does not contain the path, which may be secret.
  throw new Error(`${new URL(url).origin} answered ${response.status}${shown === '' ? '' : `: ${shown}`}`)
}

async function sent(url: string, body: string, headers: object, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'piko', ...headers },
      body,
      signal,
      // Redirects are refused, because `fetch` may turn the redirected request into a GET without the body.
      redirect: 'error',
    })
  } catch (thrown) {
    if (signal.aborted) throw thrown
    const { cause } = thrown as { cause?: unknown }
    const reason =
      cause instanceof Error ? cause.message || String((cause as NodeJS.ErrnoException).code) : String(thrown)
    throw new Error(`${new URL(url).origin} can't be reached: ${reason}`, { cause: thrown })
  }
}

/** Returns the first characters of a response. The rest is not read, because it may have any size. */
async function beginningOf(response: Response): Promise<string> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length >= MAX_SHOWN) break
  }
  return text
}

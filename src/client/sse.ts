/** One message of a stream of server-sent events. */
export interface Message {
  /** The last id in the stream. */
  readonly id: string | undefined
  readonly event: string
  /** The content; empty if the message has none. */
  readonly data: string
}

/** The maximum length of a message. Piko's own messages are shorter. */
const MAX_CHARACTERS = 4_000_000

/** Reads the messages of a stream. @throws Error if a message is too long */
export async function* messagesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Message, void, undefined> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let rest = ''
  let id: string | undefined
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      rest += decoder.decode(value, { stream: true }).replaceAll('\r\n', '\n')
      const blocks = rest.split('\n\n')
      rest = blocks.pop() ?? ''
      if (rest.length > MAX_CHARACTERS) throw new Error('a message of the stream is too long')
      for (const block of blocks) {
        const message = messageOf(block, id)
        ;({ id } = message)
        yield message
      }
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}

function messageOf(block: string, lastId: string | undefined): Message {
  let id = lastId
  let event = 'message'
  const data: string[] = []
  for (const line of block.split('\n')) {
    const [, field, value = ''] = /^(\w+): ?(.*)$/.exec(line) ?? []
    if (field === 'id') id = value
    else if (field === 'event') event = value
    else if (field === 'data') data.push(value)
  }
  return { id, event, data: data.join('\n') }
}

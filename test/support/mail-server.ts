import { createServer, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

export interface ReceivedMail {
  readonly from: string
  readonly to: readonly string[]
  /** Header and text, as they were sent. */
  readonly content: string
}

/** A mail server that keeps what it gets. It speaks as much SMTP as a client needs. */
export async function mailServer(): Promise<{ url: string; mails: ReceivedMail[] }> {
  const mails: ReceivedMail[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).once('close', () => sockets.delete(socket))
    converse(socket, (mail) => mails.push(mail))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`, mails }
}

function converse(socket: Socket, onMail: (mail: ReceivedMail) => void): void {
  const answer = (line: string): void => void socket.write(`${line}\r\n`)
  let [from, to, content]: [string, string[], string[] | undefined] = ['', [], undefined]
  let rest = ''
  answer('220 mail.test ESMTP')
  socket.setEncoding('utf8').on('data', (text: string) => {
    const lines = `${rest}${text}`.split('\r\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (content) {
        if (line !== '.') content.push(line)
        else {
          onMail({ from, to, content: content.join('\n') })
          ;[from, to, content] = ['', [], undefined]
          answer('250 kept')
        }
      } else if (/^(?:EHLO|HELO)/i.test(line)) answer('250 mail.test')
      else if (/^MAIL FROM:/i.test(line)) {
        from = /<(.*?)>/.exec(line)?.[1] ?? ''
        answer('250 ok')
      } else if (/^RCPT TO:/i.test(line)) {
        to.push(/<(.*?)>/.exec(line)?.[1] ?? '')
        answer('250 ok')
      } else if (/^DATA/i.test(line)) {
        content = []
        answer('354 go on')
      } else if (/^QUIT/i.test(line)) {
        answer('221 bye')
        socket.end()
      } else answer('250 ok')
    }
  })
}

// The other end of the measurements of gRPC: prints `ready` and `port <number>`.
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { ECHO, type Numbered } from './grpc-echo.ts'

const server = new Server()
server.addService(ECHO, {
  echo: (call: { readonly request: Numbered }, callback: (error: null, value: Numbered) => void) =>
    callback(null, call.request),
})
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error
  console.log(`port ${port}`)
})
console.log('ready')
process.stdin.resume().on('end', () => process.exit())

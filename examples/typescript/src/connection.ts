// Where the servers are, who calls them, and how a connection to them is made.

import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import * as grpc from "@grpc/grpc-js";
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { HoldfastError } from "./errors.js";

// GetEvent and GetSeatMap of the largest house answer below 10 MB; gRPC takes 4 by itself.
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const SERVICE_CONFIG = new URL("../../../../deploy/service-config.json", import.meta.url);

/** How to reach Holdfast; `settingsFromEnvironment` reads the variables named here. */
export interface Settings {
  /** HOLDFAST_TARGET: `dns:///name:port`, or `ipv4:address:port,address:port`. */
  readonly target: string;
  /** HOLDFAST_CLIENT_CA_FILE: who signed the servers' certificate (PEM); with it, TLS. */
  readonly caFile?: string | undefined;
  /** HOLDFAST_CLIENT_CERT_FILE: a client certificate (PEM), and its key below. */
  readonly certFile?: string | undefined;
  /** HOLDFAST_CLIENT_KEY_FILE */
  readonly keyFile?: string | undefined;
  /** HOLDFAST_CLIENT_TOKEN_FILE: a bearer token, read anew for each call: it may be replaced. */
  readonly tokenFile?: string | undefined;
  /** HOLDFAST_CLIENT_SERVER_NAME: the name in the certificate, where the target has another. */
  readonly serverName?: string | undefined;
  /** HOLDFAST_SERVICE_CONFIG: the retry policy's file. */
  readonly serviceConfig?: string | undefined;
}

export function settingsFromEnvironment(env: NodeJS.ProcessEnv = process.env): Settings {
  return {
    target: env["HOLDFAST_TARGET"] || "127.0.0.1:50051",
    caFile: env["HOLDFAST_CLIENT_CA_FILE"],
    certFile: env["HOLDFAST_CLIENT_CERT_FILE"],
    keyFile: env["HOLDFAST_CLIENT_KEY_FILE"],
    tokenFile: env["HOLDFAST_CLIENT_TOKEN_FILE"],
    serverName: env["HOLDFAST_CLIENT_SERVER_NAME"],
    serviceConfig: env["HOLDFAST_SERVICE_CONFIG"],
  };
}

/** Connections of its own: one to each address of the target. */
export class Connection {
  readonly #client: grpc.Client;
  readonly #tokenFile: string | undefined;

  /** Throws where the settings contradict each other, or a file cannot be read. */
  constructor(settings: Settings) {
    this.#tokenFile = settings.tokenFile;
    const policy = readFileSync(settings.serviceConfig ?? SERVICE_CONFIG, "utf8");
    const options: grpc.ClientOptions = {
      "grpc.service_config": policy,
      // Nobody else may say it, by DNS.
      "grpc.service_config_disable_resolution": 1,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.max_receive_message_length": MAX_ANSWER_BYTES,
      // A connection that died without a word is found while something waits on it.
      "grpc.keepalive_time_ms": 30_000,
      "grpc.keepalive_timeout_ms": 10_000,
      // By itself gRPC waits up to two minutes before it looks for a server again.
      "grpc.initial_reconnect_backoff_ms": 200,
      "grpc.max_reconnect_backoff_ms": 2_000,
    };
    if (settings.serverName) {
      options["grpc.ssl_target_name_override"] = settings.serverName;
      options["grpc.default_authority"] = settings.serverName;
    } else if (settings.target.includes(",")) {
      // gRPC would name the whole list, and no HTTP/2 server takes a comma there.
      options["grpc.default_authority"] = "holdfast";
    }
    this.#client = new grpc.Client(settings.target, credentials(settings), options);
  }

  /** One call, repeated as the service config says. Rejects with HoldfastError. */
  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    timeoutMs?: number,
  ): Promise<MessageShape<O>> {
    const options = timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path(method),
        (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
        (bytes: Buffer) => fromBinary(method.output, bytes),
        create(method.input, request),
        this.#metadata(),
        options,
        (error, answer) => {
          if (answer) resolve(answer);
          else reject(HoldfastError.of(error));
        },
      );
    });
  }

  /** A stream; what iterates over it gets grpc-js' errors. */
  stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
  ): grpc.ClientReadableStream<MessageShape<O>> {
    return this.#client.makeServerStreamRequest(
      path(method),
      (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
      (bytes: Buffer) => fromBinary(method.output, bytes),
      create(method.input, request),
      this.#metadata(),
    );
  }

  close(): void {
    this.#client.close();
  }

  #metadata(): grpc.Metadata {
    const metadata = new grpc.Metadata();
    if (this.#tokenFile) {
      metadata.set("authorization", `Bearer ${readFileSync(this.#tokenFile, "utf8").trim()}`);
    }
    return metadata;
  }
}

function credentials(settings: Settings): grpc.ChannelCredentials {
  const { caFile, certFile, keyFile, tokenFile } = settings;
  if (Boolean(certFile) !== Boolean(keyFile)) {
    throw new Error("a client certificate and its key go together");
  }
  if (caFile) {
    const key = keyFile ? readFileSync(keyFile) : null;
    const cert = certFile ? readFileSync(certFile) : null;
    return grpc.credentials.createSsl(readFileSync(caFile), key, cert);
  }
  if (certFile) throw new Error("a client certificate is for TLS: name a CA, too");
  if (tokenFile && !isHere(settings.target)) {
    throw new Error("without TLS a token goes to this machine only");
  }
  return grpc.credentials.createInsecure();
}

/** Whether all of a target is this machine. */
function isHere(target: string): boolean {
  const addresses = target.replace(/^(ipv4|ipv6|dns):(\/\/\/)?/, "").split(",");
  return addresses.every((address) => {
    const host = address.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
    return host === "localhost" || host === "::1" || (isIP(host) === 4 && /^127\./.test(host));
  });
}

function path(method: { parent: { typeName: string }; name: string }): string {
  return `/${method.parent.typeName}/${method.name}`;
}

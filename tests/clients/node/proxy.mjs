// Node before 24 does not read HTTPS_PROXY by itself: `node --import ./proxy.mjs app.mjs` makes its fetch do so.
import { EnvHttpProxyAgent, setGlobalDispatcher } from "undici";

setGlobalDispatcher(new EnvHttpProxyAgent());

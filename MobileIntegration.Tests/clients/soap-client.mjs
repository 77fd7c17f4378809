// Reads the Erp's WSDL with the npm package "soap", then places, lists, reads and cancels an order.
// Usage: node soap-client.mjs <wsdl address> <reference>; prints one JSON object.
import soap from "soap";

const [wsdl, reference] = process.argv.slice(2);
const client = await soap.createClientAsync(wsdl);

const order = {
  ExternalReference: reference,
  CustomerNo: "123",
  Currency: "EUR",
  ShipTo: { Name: "Ada Müller", Street: "Ring 1", PostalCode: "10115", City: "Berlin", CountryCode: "DE" },
  Lines: { Line: [{ ArticleNo: "100042", Quantity: 2, UnitPrice: "19.90" }] },
};
const [placed] = await client.PlaceOrderAsync({ order });
const [again] = await client.PlaceOrderAsync({ order });
const [listed] = await client.ListOrdersAsync({ customerNo: "123", maxRows: 5 });
const [read] = await client.GetOrderAsync({ orderNo: placed.PlaceOrderResult.OrderNo });
const [cancelled] = await client.CancelOrderAsync({ orderNo: placed.PlaceOrderResult.OrderNo, reason: "changed my mind" });

let fault;
try {
  await client.GetOrderAsync({ orderNo: "4599999999" });
} catch (error) {
  fault = error.root?.Envelope?.Body?.Fault;
}

console.log(JSON.stringify({
  operations: Object.keys(client.describe().OrderService.OrderServiceSoap).sort(),
  placed: placed.PlaceOrderResult,
  again: again.PlaceOrderResult.OrderNo,
  listed: listed.ListOrdersResult.OrderHeader.map((header) => header.OrderNo),
  read: read.GetOrderResult,
  cancelled: cancelled.CancelOrderResult.Status,
  fault,
}));

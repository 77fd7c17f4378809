using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.IdentityModel.Tokens;
using MobileIntegration.Contracts;

namespace FrontendBenchmark;

/// <summary>What stands around the frontend service, each in a process of its own.</summary>
internal static class Servers
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    /// <summary>The four integration services, which know their answers; and a place for telemetry.</summary>
    public static Task UpstreamAsync(string port)
    {
        var app = Builder(port).Build();
        var customer = Bytes(new Customer(
            "C-000123", "Ms", "Anna", "Schröder", "anna.schroeder.123@example.com", "+4930901820123", "de", new(LoyaltyTier.Silver, 1250, new(2021, 5, 4)), "W01",
            [new(AddressType.Home, "Lindenstraße 12a", "10115", "Berlin", "DE", new(52.53, 13.38))]));
        var orders = Bytes(Enumerable.Range(1, 5).Select(number => new OrderSummary(
            $"450000000{number}", "C-000123", OrderStatus.Shipped, new("EUR", 12999), new("EUR", 2075), DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch, 3)));
        var products = Bytes(Enumerable.Range(1, 6).Select(number => new Product(
            $"10000{number}", "Classic coat, navy", "A coat for cold mornings, of wool from the north.", "Nordlicht", "K03", new("EUR", 12999), new("EUR", 15999), "navy", "M",
            $"https://images.example.com/10000{number}-{{size}}.webp", true, new Dictionary<string, string> { ["de"] = "Klassik Mantel" }, DateTimeOffset.UnixEpoch)));
        var suggestions = Bytes(new Suggestions([.. Enumerable.Range(1, 6).Select(number => $"10000{number}")]));
        var stores = Enumerable.Range(1, 12).Select(number => new Store($"W{number:00}", $"Store {number}", "Ring 1", "10115", "Berlin", "DE", new(52 + (number / 10d), 13))).ToList();
        var stock = Bytes(new Stock(stores, [.. stores.SelectMany(store => Enumerable.Range(1, 6).Select(number => new StockLevel($"10000{number}", store.Id, number * 3)))]));
        var calls = 0L;
        app.Run(context => context.Request.Path.Value switch
        {
            "/calls" => context.Response.WriteAsync($"{Interlocked.Read(ref calls)}"),
            "/products/suggestions" => AnswerAsync(context.Response, suggestions),
            "/products" => CountAsync(context.Response, products),
            "/orders" => CountAsync(context.Response, orders),
            "/stock" => CountAsync(context.Response, stock),
            { } path when path.StartsWith("/customers/", StringComparison.Ordinal) => CountAsync(context.Response, customer),
            _ => Task.CompletedTask,
        });
        return app.RunAsync();

        Task CountAsync(HttpResponse response, byte[] body)
        {
            Interlocked.Increment(ref calls);
            return AnswerAsync(response, body);
        }
    }

    /// <summary>The same page by hand: four calls at the same time, read into the same records, no token, no deadline, no failures, no telemetry.</summary>
    public static Task MinimalAsync(string port, string upstream)
    {
        var builder = Builder(port);
        builder.Services.ConfigureHttpJsonOptions(options => options.SerializerOptions.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.CamelCase)));
        var app = builder.Build();
        var client = new HttpClient { BaseAddress = new(upstream) };
        string[] ids = [.. Enumerable.Range(1, 6).Select(number => $"10000{number}")];
        app.MapGet("/api/home", async (CancellationToken ct) =>
        {
            var profile = client.GetFromJsonAsync<Customer>("/customers/C-000123", Json, ct);
            var orders = client.GetFromJsonAsync<List<OrderSummary>>("/orders?customer=C-000123&top=5", Json, ct);
            var products = client.GetFromJsonAsync<List<Product>>($"/products?ids={string.Join(',', ids)}", Json, ct);
            var stock = client.GetFromJsonAsync<Stock>($"/stock?products={string.Join(',', ids)}", Json, ct);
            await Task.WhenAll(profile, orders, products, stock);
            var customer = (await profile)!;
            var levels = (await stock)!;
            return Results.Ok(new
            {
                profile = new { customer.Id, customer.Salutation, customer.GivenName, customer.FamilyName, customer.Language, customer.Loyalty, customer.FavouriteStoreId, customer.Addresses[0].City },
                orders = await orders,
                suggestions = await products,
                stock = ids.Select(id => new
                {
                    productId = id,
                    stores = (from level in levels.Levels
                              where level.ProductId == id && level.Available > 0
                              join store in levels.Stores on level.StoreId equals store.Id
                              let distance = customer.Addresses[0].Position!.KilometresTo(store.Position)
                              orderby distance, store.Id
                              select new { storeId = store.Id, store.Name, store.City, distanceKm = Math.Round(distance, 1), level.Available }).Take(3),
                }),
            });
        });
        return app.RunAsync();
    }

    public static WebApplication Authority(string address, ECDsaSecurityKey key)
    {
        var builder = WebApplication.CreateSlimBuilder([$"--urls={address}"]);
        builder.Logging.ClearProviders();
        var app = builder.Build();
        var point = key.ECDsa.ExportParameters(includePrivateParameters: false).Q;
        var keys = new
        {
            keys = new[] { new { kty = "EC", crv = "P-256", use = "sig", alg = "ES256", kid = key.KeyId, x = Base64UrlEncoder.Encode(point.X), y = Base64UrlEncoder.Encode(point.Y) } },
        };
        app.MapGet("/.well-known/openid-configuration", () => new Dictionary<string, string> { ["issuer"] = address, ["jwks_uri"] = $"{address}/keys" });
        app.MapGet("/keys", () => Results.Json(keys));
        return app;
    }

    private static byte[] Bytes<T>(T value) => JsonSerializer.SerializeToUtf8Bytes(value, Json);

    private static WebApplicationBuilder Builder(string port)
    {
        var builder = WebApplication.CreateSlimBuilder([$"--urls=http://127.0.0.1:{port}"]);
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);
        return builder;
    }

    private static Task AnswerAsync(HttpResponse response, byte[] body)
    {
        response.ContentType = "application/json";
        response.ContentLength = body.Length;
        response.Headers.Age = "0";
        return response.Body.WriteAsync(body).AsTask();
    }
}

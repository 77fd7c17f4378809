namespace MobileIntegration.Contracts;

/// <summary>A shop, which is also a place where stock is kept.</summary>
/// <param name="Id"><c>W</c> and two digits, such as <c>W07</c>.</param>
/// <param name="Country">ISO 3166-1 alpha-2.</param>
public sealed record Store(string Id, string Name, string Street, string Postcode, string City, string Country, Position Position);

/// <param name="Available">Pieces free to sell now: on hand less reserved, never below 0.</param>
public sealed record StockLevel(string ProductId, string StoreId, int Available);

/// <summary>Stock of the articles that were asked for, in every open store.</summary>
/// <param name="Levels">One for each article and store that carries it; articles that nobody carries have none.</param>
public sealed record Stock(IReadOnlyList<Store> Stores, IReadOnlyList<StockLevel> Levels);

namespace MobileIntegration.Contracts;

/// <summary>
/// Something that happened to a subject, told once. Events of one subject come in the order of their versions; a change that is reported after a
/// newer one of the same subject is not told, for the newer one has told how things stand.
/// </summary>
/// <typeparam name="T">What happened; the type's name is the event's type.</typeparam>
/// <param name="Id">Its own, the same however often it is delivered.</param>
/// <param name="Subject">What it happened to, such as <c>order:4500001234</c>.</param>
/// <param name="Version">Rises with every event of the subject; gaps are normal.</param>
/// <param name="OccurredAt">UTC, by the clock of the system where it happened.</param>
public sealed record Event<T>(Guid Id, string Subject, long Version, DateTimeOffset OccurredAt, T Data) where T : class;

/// <summary>An order was placed or went a step on. The version is the Erp's revision.</summary>
/// <param name="PreviousStatus">Null for a new order, or when it is not known.</param>
public sealed record OrderChanged(string OrderId, string CustomerId, OrderStatus Status, OrderStatus? PreviousStatus = null)
{
    public static string SubjectOf(string orderId) => $"order:{orderId}";
}

/// <summary>Something is known otherwise of a customer. The version is the Crm's revision.</summary>
/// <param name="Changed">The names of the changed parts in the Crm, such as <c>addresses</c>; no data of the customer.</param>
public sealed record CustomerChanged(string CustomerId, IReadOnlyList<string> Changed)
{
    public static string SubjectOf(string customerId) => $"customer:{customerId}";
}

/// <summary>A product costs something else. The version is the Pim's revision.</summary>
/// <param name="Price">What one costs now, tax included.</param>
/// <param name="RegularPrice">What one costs when it is not on sale; null when <paramref name="Price"/> is that already.</param>
public sealed record PriceChanged(string ProductId, Money Price, Money? RegularPrice)
{
    public static string SubjectOf(string productId) => $"price:{productId}";
}

/// <summary>The stock of a product in a store moved. The version is the Wms's number of the movement.</summary>
/// <param name="OnHand">Pieces in the store after the movement; null when it was not told, as in files: then http://inventory knows.</param>
/// <param name="Reserved">Pieces of them that are promised; null like <paramref name="OnHand"/>.</param>
public sealed record StockChanged(string ProductId, string StoreId, int? OnHand, int? Reserved)
{
    public static string SubjectOf(string productId, string storeId) => $"stock:{storeId}/{productId}";
}

/// <summary>An installation is no longer registered: its user, or its app, has removed it.</summary>
public sealed record DeviceRemoved(Guid DeviceId)
{
    public static string SubjectOf(Guid deviceId) => $"device:{deviceId}";
}

/// <summary>An installation is shut out, until it is unblocked.</summary>
/// <param name="Reason">Such as <c>lost</c>.</param>
public sealed record DeviceBlocked(Guid DeviceId, string Reason)
{
    public static string SubjectOf(Guid deviceId) => DeviceRemoved.SubjectOf(deviceId);
}

/// <summary>Documents of a synchronized database changed: its devices are to ask for them. All changes of a moment are told of at once. The version is its own.</summary>
/// <param name="Database">Its name, as apps know it.</param>
/// <param name="Apps">Those of its devices, as push knows them, such as <c>com.example.shop</c>.</param>
/// <param name="UserIds">Whose devices; a thousand at most, with several events for more.</param>
/// <param name="DeviceId">The device that made all the changes; null when several did, or one that is not known.</param>
public sealed record DatabaseChanged(string Database, IReadOnlyList<string> Apps, IReadOnlyList<string> UserIds, Guid? DeviceId)
{
    public const string SubjectPrefix = "database:";
}

/// <summary>
/// What a service did for users: steps of the journey from a push to an order. Told in bundles, of a thousand at most. A subject's bundles are taken one after the
/// other; a service that tells from many transactions at once uses a subject for each of its workers.
/// </summary>
/// <param name="Outcomes">Each is counted once, by its step and reference.</param>
public sealed record UserOutcomes(OutcomeStep Step, IReadOnlyList<UserOutcome> Outcomes)
{
    /// <param name="source">Such as <c>push</c> or <c>push-2</c>.</param>
    public static string SubjectOf(string source) => $"outcomes:{source}";
}

/// <param name="UserId">As apps name him to the analytics: for orders to be his, the customer's number.</param>
/// <param name="Reference">What makes it this one and no other, such as the notification's and the device's id.</param>
/// <param name="At">UTC.</param>
public sealed record UserOutcome(string UserId, string Reference, DateTimeOffset At);

public enum OutcomeStep
{
    /// <summary>A push was given to the network.</summary>
    Sent = 1,

    /// <summary>The network, or the device, said that it is there.</summary>
    Delivered = 2,

    /// <summary>The user opened it.</summary>
    Opened = 3,

    /// <summary>A device of the user got its changes.</summary>
    Synced = 4,
}

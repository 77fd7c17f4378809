namespace MobileIntegration.LocalHost;
public class DistributedApplicationException : Exception { public DistributedApplicationException(string m):base(m){} public DistributedApplicationException(string m, Exception e):base(m,e){} }
public interface IProjectMetadata { string ProjectPath { get; } bool SuppressBuild { get; } }
